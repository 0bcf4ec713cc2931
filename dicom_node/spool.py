"""Instances on disk, durable before Success.

    <root>/series/<Series Instance UID>/<SOP Instance UID>.dcm      waiting for analysis
    <root>/aside/<Series Instance UID>/<SOP Instance UID>.dcm       not for the plugin
    <root>/quarantine/<SHA-256>.bin                                 not readable as DICOM

The folder is the only record of what was received: what is listed here was acknowledged.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.durable import PART, DurableFolders, add_durably, sync_added, write_durably
from dicom_node.errors import InvalidUID, OutOfSpace

if TYPE_CHECKING:
    from collections.abc import Collection

    from dicom_node.durable import Buffer

#: Folder beside the shelves: what is arriving at this moment (dicom_node.arriving).
ARRIVING = "arriving"
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
        #: The space that must stay free on its disk.
        self.reserve_bytes = reserve_bytes
        self._folders = DurableFolders()
        for shelf in Shelf:
            self._folders.make(root / shelf)

    def add(self, shelf: Shelf, series_uid: str, sop_instance_uid: str, *pieces: Buffer) -> bool:
        """Keep an instance; on return it survives a power cut. False if it was held already.

        `pieces` follow each other in the DICOM file (PS3.10).

        An instance that is held is not replaced: a SOP Instance UID names one instance for
        ever (PS3.5 9), so a second copy, in whatever encoding, says nothing new.

        Raises OutOfSpace under the disk reserve, OSError when the disk fails.
        """
        folder = self._folder(shelf, series_uid)
        target = folder / f"{check_uid(sop_instance_uid)}.dcm"
        if target.exists():
            return self._mend(target, b"".join(pieces))
        self._check_space(sum(map(len, pieces)))
        self._folders.make(folder)
        return add_durably(target, *pieces)

    def _mend(self, target: Path, data: bytes) -> bool:
        """Make sure of an instance that is held; True if only its beginning was."""
        if not _is_torn(target, data):
            sync_added(target)
            return False
        self._check_space(len(data))
        write_durably(target, data)
        return True

    def quarantine(self, data: bytes) -> Path:
        """Keep bytes that nobody can read, so that a person can find out why.

        The same bytes are kept once, however often they come; the file has the time when
        they came last. Raises OutOfSpace under the disk reserve, OSError when the disk fails.
        """
        target = self.root / Shelf.QUARANTINE / f"{sha256(data).hexdigest()}.bin"
        try:
            os.utime(target)
        except FileNotFoundError:
            self._check_space(len(data))
            write_durably(target, data)
        return target

    def release_quarantined(self, before: float) -> int:
        """Delete unreadable bytes that came last before a moment, seconds since the epoch.

        How many files that were; only retention calls this.
        """
        count = 0
        for path in (self.root / Shelf.QUARANTINE).glob("*.bin"):
            with suppress(FileNotFoundError):  # another process was quicker
                if path.stat().st_mtime <= before:
                    path.unlink()
                    count += 1
        return count

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

    def uids(self, series_uid: str) -> set[str]:
        """SOP Instance UIDs of what is held of a series for analysis."""
        folder = self._folder(Shelf.SERIES, series_uid)
        return {path.stem for path in folder.glob("*.dcm")}

    def find(self, sop_instance_uids: Collection[str]) -> dict[str, Path]:
        """Where instances lie whose series nobody names; without those that are not held.

        What came last is looked through first, and no more than it takes to find them all.
        """
        wanted, found = {f"{uid}.dcm": uid for uid in sop_instance_uids}, dict[str, Path]()
        for folder in self._newest_first():
            with suppress(FileNotFoundError):  # retention was quicker
                for name in wanted.keys() & {entry.name for entry in os.scandir(folder)}:
                    found[wanted[name]] = folder / name
            if len(found) == len(wanted):
                break
        return found

    def _newest_first(self) -> list[Path]:
        """Folders of all series; one that retention removes meanwhile comes last."""
        folders = [f for s in (Shelf.SERIES, Shelf.ASIDE) for f in (self.root / s).iterdir()]
        return sorted(folders, key=_changed_at, reverse=True)

    def series(self, shelf: Shelf) -> list[str]:
        """Series Instance UIDs of all series on one shelf."""
        return sorted(entry.name for entry in os.scandir(self.root / shelf) if entry.is_dir())

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
        folder = self._folder(shelf, series_uid)
        with suppress(OSError):  # not empty: something is left, or has just come
            folder.rmdir()
            self._folders.forget(folder)

    def is_full(self) -> bool:
        """Whether the disk is under its reserve already."""
        return shutil.disk_usage(self.root).free < self.reserve_bytes

    def sweep_parts(self, older_than_s: float = 0.0) -> None:
        """Delete what a killed process left half written; none of it was acknowledged.

        Where several processes share the spool, what is young may still have its writer.
        """
        for part in self.root.rglob(f"*{PART}"):
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime >= older_than_s:
                    part.unlink()

    def _folder(self, shelf: Shelf, series_uid: str) -> Path:
        return self.root / shelf / check_uid(series_uid)

    def _check_space(self, size: int) -> None:
        free = shutil.disk_usage(self.root).free
        if free - size < self.reserve_bytes:
            raise OutOfSpace(f"{free >> 20} MiB free, {self.reserve_bytes >> 20} MiB in reserve")


def _changed_at(folder: Path) -> float:
    """Seconds since the epoch; 0 where there is no such folder any more."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_torn(path: Path, data: bytes) -> bool:
    """Whether a power cut left only the beginning of an instance, which nobody acknowledged.

    A name may reach the disk before its bytes where a file system does not keep their order,
    as over a network. The sender then comes again with the same instance.
    """
    size = path.stat().st_size
    return size < len(data) and path.read_bytes() == data[:size]


def check_uid(uid: str) -> str:
    """The UID, which cannot leave its folder (PS3.5 9.1: digits and dots, 64 at most).

    Raises InvalidUID, which does not quote the value: it may be a patient's name.
    """
    if not is_uid(uid):
        raise InvalidUID(f"{len(uid)} characters in place of a UID are none")
    return uid


def is_uid(text: str) -> bool:
    """Whether that can be a UID, and a name in a folder."""
    return _UID.fullmatch(text) is not None
