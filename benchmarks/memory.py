"""Memory of the node through ten thousand associations, each with a C-ECHO.

python -m benchmarks.memory [COUNT]
"""

from __future__ import annotations

import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt

from benchmarks.node import AE_TITLE, SENDER, Node, resident_mib
from benchmarks.results import Result
from deploy.processes import LOOPBACK, free_port
from dicom_node.sop_classes import VERIFICATION

#: The first associations load code and fill caches.
_WARM_UP = 200
_HOW = """\
{count} associations one after the other, each with a C-ECHO, against the whole node, after \
{warm_up} to warm up. A monitor that asks every second needs {hours:.1f} hours for as many."""


def measure(folder: Path, count: int = 10_000) -> Result:
    """The node's resident memory before, half way and after."""
    node = Node(folder / "lesionmark", ("NOBODY", free_port()))
    node.process.start()
    try:
        pdus = _record(node.port)
        pid = node.process.pid or 0
        marks = []
        for share in (_WARM_UP, count // 2, count - count // 2):
            for _ in range(share):
                _replay(node.port, pdus)
            marks.append(resident_mib(pid))
    finally:
        node.process.kill()
    return _result(count, marks)


def _record(port: int) -> list[bytes]:
    """What a requestor sends: A-ASSOCIATE-RQ, C-ECHO-RQ, A-RELEASE-RQ."""
    sent: list[bytes] = []
    entity = AE(SENDER)
    entity.add_requested_context(VERIFICATION)
    handlers: list[Any] = [(evt.EVT_DATA_SENT, lambda event: sent.append(event.data))]
    association = entity.associate(LOOPBACK, port, ae_title=AE_TITLE, evt_handlers=handlers)
    association.send_c_echo()
    association.release()
    return sent


def _replay(port: int, pdus: list[bytes]) -> None:
    """Send each PDU and read the answer to it."""
    with socket.create_connection((LOOPBACK, port), timeout=30) as connection:
        for pdu in pdus:
            connection.sendall(pdu)
            head = connection.recv(6, socket.MSG_WAITALL)
            connection.recv(struct.unpack(">BBL", head)[2], socket.MSG_WAITALL)


def _result(count: int, marks: list[float]) -> Result:
    rows = (
        ("at the start", f"{marks[0]:.1f}"),
        (f"after {count // 2}", f"{marks[1]:.1f}"),
        (f"after {count}", f"{marks[2]:.1f}"),
    )
    growth = marks[2] - marks[0]
    return Result(
        "Memory",
        _HOW.format(count=count, warm_up=_WARM_UP, hours=count / 3600),
        ("associations", "resident memory, MiB"),
        rows,
        (f"It grew by {growth:.1f} MiB.",),
        {"growth MiB": growth},
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
        print(measure(Path(scratch), wanted).as_markdown())
