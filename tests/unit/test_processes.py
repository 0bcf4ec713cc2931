"""Processes are awaited by what they do, and end by their own handle."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from deploy.processes import Died, LocalProcess, NotInTime, free_port, listens, wait_until

if TYPE_CHECKING:
    from pathlib import Path

_SERVE = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"


def _server(folder: Path, code: str, port: int = 0) -> LocalProcess:
    return LocalProcess(
        "a server",
        [sys.executable, "-c", code, str(port)],
        log=folder / "server.log",
        answers=lambda: listens(port),
    )


def test_wait_until_gives_what_was_looked_for() -> None:
    looks = iter([None, "", "found"])
    assert wait_until(lambda: next(looks), "it", limit_s=5, interval_s=0) == "found"


def test_wait_until_names_what_did_not_happen() -> None:
    with pytest.raises(NotInTime, match=r"the report: not within 0\.05 s"):
        wait_until(lambda: False, "the report", limit_s=0.05, interval_s=0)


def test_a_process_that_answers_is_stopped_by_its_handle(tmp_path: Path) -> None:
    port = free_port()
    server = _server(tmp_path, _SERVE + "s.accept(); s.accept()", port)
    server.start()
    assert listens(port)
    assert server.is_running
    server.stop()
    assert server.pid is None
    assert not listens(port)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    port = free_port()
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    server = _server(tmp_path, deaf + _SERVE + "[s.accept() for _ in iter(int, 1)]", port)
    server.start()
    server.stop(limit_s=0.2)
    assert not server.is_running


def test_a_process_that_dies_says_so_with_its_log(tmp_path: Path) -> None:
    server = _server(tmp_path, "raise SystemExit('the disk is full')", free_port())
    with pytest.raises(Died, match=r"(?s)a server has ended.*the disk is full"):
        server.start()


def test_a_process_that_never_answers_is_not_left_behind(tmp_path: Path) -> None:
    server = _server(tmp_path, "import signal; signal.pause()", free_port())
    with pytest.raises(NotInTime, match="an answer of a server"):
        server.start(limit_s=0.3)
    assert not server.is_running
