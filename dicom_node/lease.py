"""A worker's name, held for as long as its process lives and not a moment longer.

Work that is at hand is noted under the name of its worker. Whoever can take the lease of a name
knows that nobody is at work under it, and may give the work to others.
"""

from __future__ import annotations

import fcntl
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import psycopg
from psycopg.conninfo import make_conninfo

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

#: The first half of the keys of our advisory locks; the second is made of the name.
_LOCK_CLASS = 0x1E510
#: The server notices within 25 s that a machine has gone, and so do we that the server has.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_SERVER_KEEPALIVE = "".join(f"SET tcp_{key} = {value};" for key, value in _KEEPALIVE.items())
#: A worker that starts again at once may find its own last connection not yet forgotten.
_PATIENCE_S = 30


class Lease(Protocol):
    """A name in the work queue."""

    def hold(self) -> None:
        """Take our own name. Raises NodeError when another process has it."""
        ...

    def renew(self) -> None:
        """Take it again if the connection was lost. Raises NodeError when another has it."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...

    @contextmanager
    def taken(self, name: str) -> Iterator[bool]:
        """Hold the name of another worker; whether it was free."""
        ...


class FileLease:
    """For a queue in SQLite, which has one worker: the folder is the name."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"

    def hold(self) -> None:
        """Take the folder. Raises NodeError when another process has it."""
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = self._path.open("w")
        except OSError as error:
            raise NodeError(f"node.state_dir: {folder}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise NodeError(f"node.state_dir: {folder}: another node is running on it") from error
        self._file = file

    def renew(self) -> None:
        """Nothing: a lock of the file system is not lost."""

    def release(self) -> None:
        """Give the folder back."""
        self._file.close()

    @contextmanager
    def taken(self, name: str) -> Iterator[bool]:
        """Who else worked in this folder does so no more, since we do."""
        del name
        yield True


class SessionLease:
    """For a queue in PostgreSQL: an advisory lock, which ends with the session that has it."""

    def __init__(self, url: str, name: str) -> None:
        """`url` is a secret."""
        self._url = url
        self._name = name
        self._session: psycopg.Connection | None = None

    def hold(self) -> None:
        """Take our own name. Raises NodeError when another process has it."""
        conninfo = make_conninfo(self._url, connect_timeout=10, **_KEEPALIVE)
        try:
            self._session = psycopg.connect(conninfo, autocommit=True)
            self._session.execute(f"{_SERVER_KEEPALIVE} SET lock_timeout = '{_PATIENCE_S}s'")
            self._session.execute("SELECT pg_advisory_lock(%s, %s)", _key(self._name))
        except psycopg.errors.LockNotAvailable as error:
            self.release()
            raise NodeError(f"node.name: another worker {self._name!r} is running") from error
        except psycopg.Error as error:
            self.release()
            raise NodeError(f"node.database: {error}") from error

    def renew(self) -> None:
        """Take it again if the connection was lost. Raises NodeError when another has it."""
        try:
            if self._session is not None:
                self._session.execute("SELECT 1")
                return
        except psycopg.Error:
            log.warning("LM706 worker %s lost its lease and takes it again", self._name)
            self.release()
        self.hold()

    def release(self) -> None:
        """Give it back."""
        if self._session is not None:
            self._session.close()
            self._session = None

    @contextmanager
    def taken(self, name: str) -> Iterator[bool]:
        """Hold the name of another worker; whether it was free. Raises NodeError."""
        self.renew()
        assert self._session is not None  # renewed
        try:
            query = "SELECT pg_try_advisory_lock(%s, %s)"
            row = self._session.execute(query, _key(name)).fetchone()
            is_free = bool(row and row[0])
            yield is_free
            if is_free:
                self._session.execute("SELECT pg_advisory_unlock(%s, %s)", _key(name))
        except psycopg.Error as error:
            self.release()  # with everything that it holds
            raise NodeError(f"node.database: {error}") from error


def _key(name: str) -> tuple[int, int]:
    """Two signed numbers of 32 bits."""
    number = crc32(name.encode())
    return _LOCK_CLASS, number - (1 << 32) if number >> 31 else number
