"""Who is turned away, how, and that nobody else notices."""

from __future__ import annotations

import shutil
import socket
import struct
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from pydicom.uid import generate_uid
from pynetdicom import _config

from deploy.processes import LOOPBACK, free_port
from dicom_node import listener
from dicom_node.arriving import Marks
from dicom_node.audit import SILENT
from dicom_node.config_tables import Listener, Sender
from dicom_node.listener import Notices
from dicom_node.live import fixed
from dicom_node.spool import Spool
from dicom_node.statuses import SUCCESS, StoreStatus
from tests.instances import instance, spool_of
from tests.node import SENDER, Node, eventually
from tests.peers import answer_to, associate, hears_end, silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ELSEWHERE, NOWHERE = "127.0.0.2", "127.0.0.3"
HANDSHAKE_S, IDLE_S = 1.5, 2.0
LIMITS = {
    "sender": [
        {"ae_title": SENDER, "addresses": [LOOPBACK]},
        {"ae_title": "ELSEWHERE", "addresses": [ELSEWHERE]},
    ],
    "max_associations": 3,
    "max_associations_per_address": 2,
    "handshake_timeout_s": HANDSHAKE_S,
    "idle_timeout_s": IDLE_S,
    "max_pdu_bytes": 65536,
    "max_instance_mb": 1,
    "max_decoded_mb": 4,
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("guarded")
    with Node(folder, [("pacs", "NOBODY", 1)], listener=LIMITS) as node:
        yield node


@pytest.fixture(autouse=True)
def _raw_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send what stands in a file behind its meta information, data set or not."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


def echoes(node: Node) -> bool:
    """Whether C-ECHO is answered, on an association of its own."""
    association = associate(node.port, "ELSEWHERE", source=ELSEWHERE)
    assert association.is_established
    status = association.send_c_echo().Status
    association.release()
    return bool(status == SUCCESS)


@pytest.mark.parametrize(
    ("calling", "called", "source", "answer", "reason"),
    [
        (SENDER, "LESIONMARK", LOOPBACK, None, ""),
        ("ELSEWHERE", "LESIONMARK", ELSEWHERE, None, ""),
        ("STRANGER", "LESIONMARK", LOOPBACK, (1, 1, 3), "no listener.sender has that AE title"),
        (SENDER, "LESIONMARK", ELSEWHERE, (1, 1, 3), "the address is not among the addresses"),
        (SENDER, "SOMEBODY", LOOPBACK, (1, 1, 7), "it calls 'SOMEBODY'"),
    ],
)
def test_a_title_at_its_address_is_let_in(
    guarded: Node,
    calling: str,
    called: str,
    source: str,
    answer: tuple[int, int, int] | None,
    reason: str,
) -> None:
    assert answer_to(guarded.port, calling, called=called, source=source) == answer
    if answer is not None:
        said = f"LM102 association rejected: {calling!r} at {source}: {reason}"
        eventually(lambda: said in guarded.process.log.read_text(), said, limit_s=5)


def test_an_address_of_no_sender_is_not_listened_to(guarded: Node) -> None:
    with socket.create_connection((LOOPBACK, guarded.port), 5, (NOWHERE, 0)) as connection:
        assert hears_end(connection, within_s=HANDSHAKE_S / 2)
    assert f"connection from {NOWHERE} refused" in guarded.process.log.read_text()


def test_more_than_the_limit_of_an_address_is_rejected_for_a_while(guarded: Node) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            association = associate(guarded.port, SENDER)
            assert association.is_established
            stack.callback(association.release)
        assert answer_to(guarded.port, SENDER) == (2, 3, 2)
        assert answer_to(guarded.port, "ELSEWHERE", source=ELSEWHERE) is None
    assert eventually(lambda: answer_to(guarded.port, SENDER) is None, "room again")


def test_more_than_the_limit_in_all_is_rejected_for_a_while(guarded: Node) -> None:
    with ExitStack() as stack:
        for calling, source in ((SENDER, LOOPBACK), (SENDER, LOOPBACK), ("ELSEWHERE", ELSEWHERE)):
            association = associate(guarded.port, calling, source=source)
            assert association.is_established
            stack.callback(association.release)
        assert answer_to(guarded.port, "ELSEWHERE", source=ELSEWHERE) == (2, 3, 2)
    assert "listener.max_associations are open" in guarded.process.log.read_text()


@contextmanager
def listening(spool: Spool) -> Iterator[int]:
    """A listener of this process that keeps what comes in a spool; gives its port."""
    settings = Listener(port=free_port(), sender=(Sender(ae_title=SENDER),))
    notices, marks = Notices(*[lambda _: None] * 3), Marks(spool.root.parent / "arriving")
    made = listener.Listener(fixed(settings), spool, frozenset(), notices, SILENT, marks)
    made.start()
    try:
        yield settings.port
    finally:
        made.stop(within_s=1)


def test_under_its_disk_reserve_the_node_rejects_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(Spool(tmp_path / "spool", reserve_bytes=1 << 60)) as port:
        assert answer_to(port, SENDER) == (2, 3, 1)
        assert answer_to(port, "STRANGER") == (1, 1, 3)
    assert "listener.disk_reserve_mb" in caplog.text


def test_who_cannot_be_judged_stays_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    with listening(spool) as port:
        assert answer_to(port, SENDER) is None
        shutil.rmtree(spool.root)  # whether the disk is full is not to be found out any more
        assert answer_to(port, SENDER) == (2, 3, 1)


def test_half_open_handshakes_stall_nobody_and_are_closed(guarded: Node) -> None:
    with silent(guarded.port, 50) as connections:
        began = time.monotonic()
        assert echoes(guarded)
        assert time.monotonic() - began < HANDSHAKE_S / 2
        assert all(hears_end(connection, within_s=2 * HANDSHAKE_S) for connection in connections)


def test_a_port_scan_stalls_nobody(guarded: Node) -> None:
    for _ in range(300):
        with silent(guarded.port, 1):
            pass
    assert echoes(guarded)


def test_a_request_that_drips_is_cut_off(guarded: Node) -> None:
    half = struct.pack(">BBL", 1, 0, 200) + bytes(50)
    with silent(guarded.port, 3, half) as connections:
        assert echoes(guarded)
        assert all(hears_end(connection, within_s=2 * HANDSHAKE_S) for connection in connections)


def test_a_pdu_of_4_gib_is_not_awaited(guarded: Node) -> None:
    for kind in (1, 4):
        with silent(guarded.port, 1, struct.pack(">BBL", kind, 0, 2**32 - 1)) as [connection]:
            assert hears_end(connection, within_s=HANDSHAKE_S / 2)
    assert echoes(guarded)


def test_an_idle_association_is_ended(guarded: Node) -> None:
    association = associate(guarded.port, SENDER)
    assert association.is_established
    eventually(lambda: not association.is_established, "the end of the association", 2 * IDLE_S)


def written(folder: Path, **changes: object) -> Path:
    ct = instance(generate_uid(), generate_uid(), 0)
    for keyword, value in changes.items():
        setattr(ct, keyword, value)
    path = folder / f"{ct.SOPInstanceUID}.dcm"
    ct.save_as(path, enforce_file_format=True)
    return path


def test_what_is_too_large_is_refused_and_the_rest_of_the_series_comes(
    guarded: Node, tmp_path: Path
) -> None:
    association = associate(guarded.port, SENDER)
    paths = [
        written(tmp_path, PixelData=bytes(3 << 20)),
        written(tmp_path, Rows=30_000, Columns=30_000),
        written(tmp_path),
    ]
    statuses = [association.send_c_store(path).get("Status") for path in paths]
    association.release()
    too_large = StoreStatus.INSTANCE_TOO_LARGE
    assert statuses == [too_large, too_large, StoreStatus.SUCCESS]
    log = guarded.process.log.read_text()
    assert "LM104 instance refused: more than 1 MiB as sent" in log
    assert "LM104 instance refused: more than 4 MiB when decoded" in log
    assert spool_of(guarded.folder).count("quarantine") == 0
