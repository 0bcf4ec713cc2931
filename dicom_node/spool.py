"""Instances on disk, durable before Success.

    <root>/series/<Series Instance UID>/<SOP Instance UID>.dcm      waiting for analysis
    <root>/aside/<Series Instance UID>/<SOP Instance UID>.dcm       not for the plugin
    <root>/quarantine/<time>-<random>.bin                           not readable as DICOM

The folder is the only record of what was received: what is listed here was acknowledged.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING

from dicom_node.errors import MismatchedInstance, OutOfSpace

if TYPE_CHECKING:
    from collections.abc import Collection

_PART = ".part"
_UID = re.compile(r"[0-9][0-9.]{0,63}")


class Shelf(StrEnum):
    """Where in the spool an instance is kept."""

    #: Waiting for analysis.
    SERIES = "series"
    #: Not for the plugin; kept until retention.
    ASIDE = "aside"
    #: Bytes that cannot be read as a DICOM data set.
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Held:
    """One instance in the spool."""

    #: SOP Instance UID.
    sop_instance_uid: str
    #: DICOM file (PS3.10) as received.
    path: Path
    #: When it was stored, seconds since the epoch.
    stored_at: float


class Spool:
    """The folder of received instances; several processes may share it."""

    def __init__(self, root: Path, reserve_bytes: int = 0) -> None:
        self.root = root
        self._reserve_bytes = reserve_bytes
        for shelf in Shelf:
            _make_durable_folder(root / shelf)

    def add(self, shelf: Shelf, series_uid: str, sop_instance_uid: str, data: bytes) -> bool:
        """Keep an instance; on return it survives a power cut. False if it was held already.

        An instance that is held is not replaced: a SOP Instance UID names one instance for
        ever (PS3.5 9), so a second copy, in whatever encoding, says nothing new.

        Raises OutOfSpace under the disk reserve, OSError when the disk fails.
        """
        folder = self._folder(shelf, series_uid)
        target = folder / f"{_path_safe(sop_instance_uid)}.dcm"
        if target.exists():
            _sync_folder(folder)  # a parallel association may have renamed it just now
            return False
        self._check_space(len(data))
        _make_durable_folder(folder)
        write_durably(target, data)
        return True

    def quarantine(self, name: str, data: bytes) -> Path:
        """Keep bytes that nobody can read, so that a person can find out why."""
        self._check_space(len(data))
        target = self.root / Shelf.QUARANTINE / f"{name}-{os.urandom(4).hex()}.bin"
        write_durably(target, data)
        return target

    def held(self, series_uid: str, shelf: Shelf = Shelf.SERIES) -> list[Held]:
        """The instances of one series, sorted by SOP Instance UID."""
        folder = self._folder(shelf, series_uid)
        if not folder.is_dir():
            return []
        return sorted(
            (
                Held(Path(entry.name).stem, Path(entry.path), entry.stat().st_mtime)
                for entry in os.scandir(folder)
                if entry.name.endswith(".dcm")
            ),
            key=lambda held: held.sop_instance_uid,
        )

    def count(self, shelf: Shelf) -> int:
        """How many series, or unreadable files, lie on one shelf."""
        return sum(1 for _ in os.scandir(self.root / shelf))

    def remove(self, series_uid: str, sop_instance_uids: Collection[str], shelf: Shelf) -> None:
        """Delete these instances of a series; only retention calls this.

        Others of the same series stay: they may have come in this very moment.
        """
        for held in self.held(series_uid, shelf):
            if held.sop_instance_uid in sop_instance_uids:
                held.path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: something is left, or has just come
            self._folder(shelf, series_uid).rmdir()

    def sweep_parts(self) -> None:
        """Delete what a killed process left half written; none of it was acknowledged."""
        for part in self.root.rglob(f"*{_PART}"):
            part.unlink(missing_ok=True)

    def _folder(self, shelf: Shelf, series_uid: str) -> Path:
        return self.root / shelf / _path_safe(series_uid)

    def _check_space(self, size: int) -> None:
        free = shutil.disk_usage(self.root).free
        if free - size < self._reserve_bytes:
            raise OutOfSpace(f"{free >> 20} MiB free, {self._reserve_bytes >> 20} MiB in reserve")


def write_durably(target: Path, data: bytes) -> None:
    """Write a file so that it is there whole, or not at all, after a power cut."""
    descriptor, name = mkstemp(dir=target.parent, suffix=_PART)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _make_durable_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _path_safe(uid: str) -> str:
    """A UID that cannot leave its folder (PS3.5 9.1: digits and dots, 64 at most)."""
    if not _UID.fullmatch(uid):
        raise MismatchedInstance(f"{uid[:80]!r} is not a UID")
    return uid
