"""Which processes of this machine serve a node, so that a command can ask them for something.

<state_dir>/running/HOST.PID    locked for as long as that process lives; what it said last
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Presence:
    """What others see of the process that has it."""

    def __init__(self, state_dir: Path) -> None:
        folder = _folder(state_dir)
        folder.mkdir(parents=True, exist_ok=True)
        servers(state_dir)  # sweeps up what was left by a kill
        self._path = folder / f"{socket.gethostname()}.{os.getpid()}"
        self._count = 0
        # It has its name only when it is locked: else somebody might take it for a leftover.
        new = folder / f"new-{self._path.name}"
        self._file = new.open("wb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_SH)
        new.rename(self._path)

    def say(self, words: str) -> None:
        """What came of the last request."""
        self._count += 1
        with suppress(OSError):  # the disk is full; the log has it, too
            self._file.seek(0)
            self._file.truncate()
            # In one write, so that nobody reads half of it.
            self._file.write(f"{self._count}\n{words}\n".encode())

    def leave(self) -> None:
        """The process ends."""
        self._path.unlink(missing_ok=True)
        self._file.close()


@dataclass(frozen=True)
class Server:
    """Another process that serves a node."""

    path: Path
    #: Process id on this machine.
    pid: int

    def said(self) -> tuple[int, str]:
        """How many requests it has answered, and its last answer."""
        count, _, words = self.path.read_text(encoding="utf-8").partition("\n")
        return int(count or 0), words.strip()

    def ask_to_reload(self) -> None:
        """Ask it to read its configuration again. Raises NodeError where that is not for us."""
        try:
            os.kill(self.pid, signal.SIGHUP)
        except PermissionError as error:
            raise NodeError(
                f"process {self.pid} is not yours: do this as root or as the user that it runs as"
            ) from error


def servers(state_dir: Path) -> list[Server]:
    """The processes of this machine that serve with that state folder."""
    return list(_alive(state_dir))


def _alive(state_dir: Path) -> Iterator[Server]:
    for path in sorted(_folder(state_dir).glob(f"{socket.gethostname()}.*")):
        with suppress(FileNotFoundError):  # it has just ended
            if _is_locked(path):
                yield Server(path, int(path.suffix.removeprefix(".")))
            else:
                path.unlink()


def _is_locked(path: Path) -> bool:
    """Whether its process is there; a lock, unlike a number, is not left behind by a kill."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _folder(state_dir: Path) -> Path:
    return state_dir / "running"
