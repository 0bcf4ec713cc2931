"""A process that serves is found as long as it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dicom_node.errors import NodeError
from dicom_node.presence import Presence, servers

if TYPE_CHECKING:
    from pathlib import Path

_SERVE = """
import pathlib, sys
from dicom_node.presence import Presence
there = Presence(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
input()
"""


def serve(folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_it_is_there_until_it_is_killed(tmp_path: Path) -> None:
    with serve(tmp_path) as first, serve(tmp_path) as second:
        assert {server.pid for server in servers(tmp_path)} == {first.pid, second.pid}
        first.kill()
        first.wait()
        assert [server.pid for server in servers(tmp_path)] == [second.pid]
        second.kill()
    assert servers(tmp_path) == []
    assert list((tmp_path / "running").iterdir()) == []


def test_it_says_what_came_of_each_request(tmp_path: Path) -> None:
    there = Presence(tmp_path)
    [server] = servers(tmp_path)
    assert server.said() == (0, "")
    there.say("a long answer\nof two lines")
    there.say("short")
    assert server.said() == (2, "short")
    there.leave()
    assert servers(tmp_path) == []


def test_what_may_not_be_asked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), signal.SIGHUP)
        raise PermissionError

    there = Presence(tmp_path)
    [server] = servers(tmp_path)
    monkeypatch.setattr(os, "kill", refuse)
    with pytest.raises(NodeError, match=f"process {os.getpid()} is not yours"):
        server.ask_to_reload()
    there.leave()
