"""Files that are there whole, or not at all, after kill -9 and after a power cut."""

from __future__ import annotations

import ctypes
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What bytes come in.
Buffer = bytes | bytearray | memoryview

#: The ending of files that are being written; what has it was never acknowledged.
PART = ".part"
#: SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER of sync_file_range(2).
_WRITE_AND_WAIT = 1 | 2 | 4
#: Pieces that are written with one call (IOV_MAX of Linux is 1024).
_MOST_PIECES = 512
#: Folders that a process remembers as durable.
_MEMORY = 4096

_libc = ctypes.CDLL(None, use_errno=True)
#: They only wait for the disk.
_pool = ThreadPoolExecutor(32, thread_name_prefix="fsync")


def write_durably(target: Path, data: Buffer) -> None:
    """Write a file, in place of one of that name."""
    descriptor, name = mkstemp(dir=target.parent, suffix=PART)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            _write(file.fileno(), (data,))
            os.fsync(file.fileno())
        part.rename(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync(target.parent)


def add_durably(target: Path, *pieces: Buffer) -> bool:
    """Write a file unless there is one of that name; False if there is. Either is durable.

    A journal commit is what takes time, and file and folder need only one between them when
    both are synchronized at once. The name is given as soon as the bytes are on the disk and
    before their journal commit, so a file that is found here is not durable by being found.
    """
    descriptor, name = mkstemp(dir=target.parent, suffix=PART)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            _write(file.fileno(), pieces)
            _write_out(file.fileno())
            return _name_durably(Path(name), file.fileno(), target)
    finally:
        Path(name).unlink(missing_ok=True)


def _write(descriptor: int, pieces: Sequence[Buffer]) -> None:
    """Write the pieces one behind the other, many with one call."""
    for first in range(0, len(pieces), _MOST_PIECES):
        some = pieces[first : first + _MOST_PIECES]
        written, length = os.writev(descriptor, some), sum(map(len, some))
        rest = memoryview(b"".join(some))[written:] if written < length else memoryview(b"")
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _name_durably(part: Path, descriptor: int, target: Path) -> bool:
    try:
        os.link(part, target)
    except FileExistsError:
        sync_added(target)
        return False
    try:
        _sync_both(descriptor, target.parent)
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True


def sync_added(target: Path) -> None:
    """Make sure of a file that another thread or process may have added only just now."""
    with target.open("rb") as file:
        _sync_both(file.fileno(), target.parent)


def sync(path: Path) -> None:
    """Wait until a file or folder is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DurableFolders:
    """Makes folders, and remembers which of them a power cut cannot take away."""

    def __init__(self) -> None:
        #: Device and inode of each, because another process may remove and make one, too.
        self._known: dict[Path, tuple[int, int]] = {}

    def make(self, folder: Path) -> None:
        """A folder that is durable, whoever has made it."""
        is_new = _mkdir(folder)
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        # A new folder may have the inode of one that was removed.
        if not is_new and self._known.get(folder) == identity:
            return
        sync(folder.parent)
        if len(self._known) >= _MEMORY:
            self._known.clear()
        self._known[folder] = identity

    def forget(self, folder: Path) -> None:
        """It was removed."""
        self._known.pop(folder, None)


def _mkdir(folder: Path) -> bool:
    """Whether that was for us to do."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def _write_out(descriptor: int) -> None:
    """Send the bytes of a file to the disk, without waiting for the journal."""
    offset, length = ctypes.c_int64(0), ctypes.c_int64(0)
    if _libc.sync_file_range(descriptor, offset, length, _WRITE_AND_WAIT) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.ENOSYS, errno.EINVAL, errno.ESPIPE):
        raise OSError(number, os.strerror(number))
    os.fdatasync(descriptor)  # a file system that knows no other way


def _sync_both(descriptor: int, folder: Path) -> None:
    folder_is_synced = _pool.submit(sync, folder)
    try:
        os.fsync(descriptor)
    finally:
        folder_is_synced.result()
