"""Processes on this machine that are started, awaited and stopped by their own handle."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from random import randrange
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Found = TypeVar("Found")

#: The only address that local peers listen on or are reached at.
LOOPBACK = "127.0.0.1"
#: Free ports are taken from here; most systems hand out higher ones by themselves.
_PORTS = (10_000, 30_000)


class NotInTime(TimeoutError):
    """Something that was waited for did not happen within its limit."""


class Died(RuntimeError):
    """A process ended although it should have gone on; the message holds the end of its log."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment.

    Below those that systems hand out by themselves: else the next connection of any process
    might take it before a server does.
    """
    while True:
        port = randrange(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def find_dcmtk(program: str) -> str | None:
    """Path of one of DCMTK's programs, None without DCMTK.

    pynetdicom puts programs of the same names beside this Python.
    """
    beside = str(Path(sys.executable).parent)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(program, path=os.pathsep.join(f for f in folders if f != beside))


def listens(port: int) -> bool:
    """Whether something accepts TCP on that port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((LOOPBACK, port)) == 0


def wait_until(
    look: Callable[[], Found | None], what: str, *, limit_s: float, interval_s: float = 0.1
) -> Found:
    """Look again and again until there is something to see, and give that.

    Raises NotInTime, naming `what`, when `limit_s` seconds have passed.
    """
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise NotInTime(f"{what}: not within {limit_s:g} s")
        time.sleep(interval_s)
    return found


def tail(log: Path, lines: int = 30) -> str:
    """The last lines of a log, or nothing where there is no log yet."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


class LocalProcess:
    """A server in a process of its own.

    It survives the death of its parent, so that whoever started it decides when it ends.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        answers: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`answers` says whether the server is ready; `environment` adds to this process's own."""
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self._answers = answers
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, or None while it is not running."""
        return self._process.pid if self._process and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status of the process that has ended, or None."""
        return self._process.returncode if self._process else None

    def start(self, limit_s: float = 60) -> None:
        """Start the process and wait until it answers. Raises Died or NotInTime."""
        self.launch()
        self.wait_until_it_answers(limit_s)

    def launch(self) -> None:
        """Start the process without waiting for an answer."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def wait_until_it_answers(self, limit_s: float) -> None:
        """Wait for readiness; a process that does not get there is stopped."""
        with ExitStack() as unready:
            unready.callback(self.stop)
            what = f"an answer of {self.name} ({self.log})"
            wait_until(self._answers_or_died, what, limit_s=limit_s)
            unready.pop_all()

    def _answers_or_died(self) -> bool:
        self.require_running()
        return self._answers()

    def require_running(self) -> None:
        """Raises Died when the process is not running."""
        if not self.is_running:
            raise Died(f"{self.name} has ended. The end of {self.log}:\n{tail(self.log)}")

    def stop(self, limit_s: float = 15) -> None:
        """Ask the process to end, and end it by force when it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once (SIGKILL) and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
