"""A listener in a process of its own, so that its memory, threads and files can be counted."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydicom.uid import CTImageStorage

from deploy.processes import LOOPBACK, LocalProcess, free_port, listens
from dicom_node import delivery, logs
from dicom_node.arriving import Marks
from dicom_node.audit import Trail
from dicom_node.config_tables import Destination, Sender
from dicom_node.config_tables import Listener as Settings
from dicom_node.listener import Listener, Notices
from dicom_node.live import fixed
from dicom_node.spool import Spool
from tests.node import SENDER


@dataclass(frozen=True)
class Size:
    """What a process holds."""

    #: Resident memory, bytes.
    memory: int
    #: Threads.
    threads: int
    #: Open file descriptors.
    files: int


class Target:
    """Starts the listener, measures it and asks whether it still answers."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._peer = Destination(
            name="target", host=LOOPBACK, port=self.port, ae_title="LESIONMARK"
        )
        self.process = LocalProcess(
            "the target",
            [sys.executable, "-m", "tests.fuzz.target", str(self.port), str(folder)],
            log=folder / "target.log",
            answers=self.answers,
        )

    def answers(self) -> bool:
        """Whether C-ECHO is answered."""
        # Asked first, because pynetdicom leaves a socket open when nobody listens.
        if not listens(self.port):
            return False
        sent = delivery.echo(self._peer, SENDER, timeout_s=5)
        return sent.outcome is delivery.Outcome.ACKNOWLEDGED

    def size(self) -> Size:
        """What it holds now."""
        process = Path(f"/proc/{self.process.pid}")
        pages = int((process / "statm").read_text().split()[1])
        return Size(
            pages * os.sysconf("SC_PAGE_SIZE"),
            len(list((process / "task").iterdir())),
            len(list((process / "fd").iterdir())),
        )

    def __enter__(self) -> Target:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()


def main() -> None:
    """Listen until killed, keep what comes, and tell nobody."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    settings = Settings(
        port=port,
        sender=(Sender(ae_title=SENDER),),
        max_associations=64,
        max_associations_per_address=64,
        handshake_timeout_s=2.0,
        idle_timeout_s=2.0,
        max_instance_mb=1,
        max_decoded_mb=16,
        disk_reserve_mb=0,
    )
    logs.to_stderr("WARNING")
    notices = Notices(*[lambda _: None] * 3)
    spool = Spool(Path(tempfile.mkdtemp(dir=folder)))
    trail = Trail("LESIONMARK", None, lambda: datetime.now(UTC))
    marks = Marks(spool.root / "arriving")
    Listener(fixed(settings), spool, frozenset({CTImageStorage}), notices, trail, marks).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
