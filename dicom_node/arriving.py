"""Which series are arriving at this moment, in files that every process of the node can see.

    <root>/<boot id>-<random>/alive                    locked and touched by a listener that lives
    <root>/<boot id>-<random>/<Series Instance UID>    one of its associations brings that series

A listener that was killed leaves its folder behind, and is known by it: on the machine where it
ran the lock is free, and to other machines the file "alive" has grown old.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO

log = logging.getLogger(__name__)

#: Seconds after which another machine takes a listener for dead that gives no sign of life.
EXPIRY_S = 20.0
#: Seconds between two signs of life.
_BEAT_S = 5.0
_ALIVE = "alive"


class Arriving:
    """Reads what all listeners have written, living and dead."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, series_uid: str) -> bool:
        """Whether a listener that lives has an association open that brought the series."""
        return any(self._lives(marker.parent) for marker in self._root.glob(f"*/{series_uid}"))

    def sweep(self) -> None:
        """Delete what dead listeners have left."""
        for folder in self._root.glob(f"*/{_ALIVE}"):
            if not self._lives(folder.parent):
                shutil.rmtree(folder.parent, ignore_errors=True)

    def _lives(self, folder: Path) -> bool:
        try:
            if folder.name.startswith(_boot_id()):
                return _is_locked(folder / _ALIVE)
            return self._now() - (folder / _ALIVE).stat().st_mtime < EXPIRY_S
        except FileNotFoundError:
            return False

    def _now(self) -> float:
        """The time by the clock of whoever keeps the folder, as it stamps our signs of life."""
        clock = self._root / "clock"
        clock.touch()
        return clock.stat().st_mtime


class Marks:
    """What one listener writes; safe to use from all its threads."""

    def __init__(self, root: Path) -> None:
        """Take a folder of its own. Raises OSError."""
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._series: set[str] = set()
        self._lock = Lock()
        self._folder, self._alive = _locked_folder(root)
        self._stops = Event()
        self._thread = Thread(target=self._beat, name="alive", daemon=True)
        self._thread.start()

    def add(self, series_uid: str) -> None:
        """An association brings that series. Raises OSError."""
        with self._lock:
            try:
                (self._folder / series_uid).touch()
            except FileNotFoundError:
                self._renew()
                (self._folder / series_uid).touch()
            self._series.add(series_uid)

    def discard(self, series_uid: str) -> None:
        """No association brings that series any more."""
        with self._lock:
            self._series.discard(series_uid)
            with suppress(OSError):  # a disk that fails now; the mark ends with this process
                (self._folder / series_uid).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing arrives here any more."""
        self._stops.set()
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._alive.close()

    def _beat(self) -> None:
        while not self._stops.wait(_BEAT_S):
            try:
                self.give_sign()
            except OSError as error:
                log.warning("LM110 no sign of life in %s: %s", self._folder, error.strerror)

    def give_sign(self) -> None:
        """Still here. Raises OSError."""
        with self._lock:
            try:
                os.utime(self._folder / _ALIVE)
            except FileNotFoundError:
                self._renew()

    def _renew(self) -> None:
        """Another machine took us for dead, because we stood still, and has swept the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._alive.close()
        self._folder, self._alive = _locked_folder(self._root)
        for series_uid in self._series:
            (self._folder / series_uid).touch()


def _locked_folder(root: Path) -> tuple[Path, IO[str]]:
    """Make a folder with its lock already held, so that it never looks like a dead one's."""
    folder = root / f"{_boot_id()}-{os.urandom(8).hex()}"
    unborn = folder.with_name(f".{folder.name}")
    unborn.mkdir()
    alive = (unborn / _ALIVE).open("w")
    fcntl.flock(alive, fcntl.LOCK_EX)
    unborn.rename(folder)
    return folder, alive


def _is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _boot_id() -> str:
    """Names this machine, and this start of it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
