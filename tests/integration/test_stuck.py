"""Parts that hang are found out, each in its own way."""

from __future__ import annotations

import socket
import sys
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pynetdicom import AE
from sqlalchemy.exc import OperationalError

from deploy.processes import LOOPBACK, free_port
from dicom_node import acceptor, crew, recovery
from dicom_node.sop_classes import VERIFICATION
from dicom_node.systemd import Watchdog
from dicom_node.totals import Totals
from dicom_node.upper_layer import Limits
from dicom_node.vitals import Vitals
from dicom_node.web import health
from tests.node import eventually

if TYPE_CHECKING:
    from pathlib import Path

_SILENT = "print('ready', flush=True); print('[]', flush=True); input()"


def test_a_listener_that_does_not_come_back_to_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than the half second between two looks of the library.
    monkeypatch.setattr(acceptor, "_LONGEST_ABSENCE_S", 1.5)
    entity, gate, port = AE("A"), Event(), free_port()
    entity.add_supported_context(VERIFICATION)
    made = acceptor.Acceptor(
        entity,
        (LOOPBACK, port),
        [],
        Limits(1, 1.0, 4096, 4096, 1.0),
        admits=lambda _: gate.wait(30),
    )
    made.start()
    try:
        assert made.is_accepting
        with socket.create_connection((LOOPBACK, port)):
            eventually(lambda: not made.is_accepting, "the absence", limit_s=10)
            gate.set()
            eventually(lambda: made.is_accepting, "the return", limit_s=10)
    finally:
        gate.set()
        made.stop(1)


def test_a_listening_process_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    made = crew.Crew([sys.executable, "-c", _SILENT], 1, Totals())
    made.start()
    try:
        assert made.stuck() is None
        monkeypatch.setattr(crew, "_LONGEST_SILENCE_S", 0.0)
        stuck = eventually(made.stuck, "the silence", limit_s=10)
        assert "has not been heard of" in stuck
    finally:
        made.stop(5)
    assert made.stuck() is None


def test_a_patrol_that_does_not_come_round(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, nobody = Event(), cast("Any", None)
    spool = cast("Any", SimpleNamespace(series=lambda _: hangs.wait(30) and []))
    ledger = cast("Any", SimpleNamespace(analysed=set, waiting_to_retire=set))
    made = recovery.Recovery(
        spool, nobody, ledger, nobody, nobody, executor_id="", quiet_period_s=1.0, keep_s=nobody
    )
    assert made.stuck() is None
    made.start()
    assert made.stuck() is None
    monkeypatch.setattr(recovery, "_LONGEST_ROUND_S", 0.0)
    assert "has not come round" in str(made.stuck())
    hangs.set()
    made.stop(5)
    assert made.stuck() is None


def test_the_watchdog_goes_by_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        vitals, faults = Vitals(), ["it hangs"]
        vitals.watch("first", lambda: None)
        vitals.watch("second", lambda: faults[0] if faults else None)
        watchdog = Watchdog(vitals.stuck)
        watchdog.look()
        assert manager.recv(100) == b"STATUS=stuck: it hangs"
        faults.clear()
        watchdog.look()
        assert manager.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("fault", "words"), [(None, "ok"), (OperationalError("", {}, Exception()), "does not answer")]
)
def test_a_database_that_does_not_answer_is_not_ready(fault: Exception | None, words: str) -> None:
    def look(**_: object) -> list[object]:
        if fault is not None:
            raise fault
        return []

    sources = SimpleNamespace(
        vitals=Vitals(), receives=False, client=SimpleNamespace(list_workflows=look)
    )
    ready = cast("Any", health.routes(cast("Any", sources))[1]).endpoint
    answer = ready(None)
    assert answer.status_code == (200 if fault is None else 503)
    assert f'"database":"{words}"'.encode() in answer.body
