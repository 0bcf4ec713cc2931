"""Which program holds a TCP port of this machine, as far as Linux tells us."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: State of a socket that listens (tcp_states.h of Linux), as it is written in the tables.
_LISTENS: Final = "0A"
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")


def holder(port: int) -> str:
    """The program that listens on a port and its process id; empty where nobody says."""
    wanted = set(_sockets(port))
    for process in Path("/proc").glob("[0-9]*"):
        if wanted & set(_open_sockets(process)):
            with suppress(OSError):
                return f"{(process / 'comm').read_text().strip()}, process {process.name}"
    return ""


def _sockets(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on a port (proc(5))."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                    yield rest[5]


def _open_sockets(process: Path) -> Iterator[str]:
    """Inodes of the sockets of a process; none where we may not look."""
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                found = _SOCKET.match(str(entry.readlink()))
                if found:
                    yield found[1]
