"""The machine: state folder, disk, clock and the database of the work queue."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final

from dicom_node import database
from dicom_node.doctor.check import failed, passed, skipped
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_node.config import Settings
    from dicom_node.doctor.check import Check

#: The program is from this year, so no clock can be right that shows an earlier one.
_YEAR: Final = 2026
#: A clock may differ from that of a file server by this much, seconds.
_SKEW_S: Final = 5.0
_STATE: Final = "state folder"


def state_folder(settings: Settings) -> Check:
    """Whether we may write where the node writes, and are who the node is."""
    wanted = Path(settings.node.state_dir)
    folder = _nearest(wanted)
    try:
        _probe(folder)
    except OSError as error:
        advice = (
            "run doctor as the user of the service (sudo -u lesionmark), and see that "
            "node.state_dir is on a disk that can be written to"
        )
        return failed(_STATE, f"{folder}: cannot be written to: {error.strerror}", advice)
    if folder != wanted:
        return passed(_STATE, f"{wanted}: is not there yet, and can be made")
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        advice = f"run doctor as that user: sudo -u {_user(owner)} lesionmark doctor"
        return failed(_STATE, f"{folder}: belongs to {_user(owner)}, not to us", advice)
    return passed(_STATE, f"{folder}: can be written to, belongs to {_user(owner)}")


def _probe(folder: Path) -> float:
    """Write a file and delete it; the time that the file system gave it, seconds since 1970."""
    with NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
        probe.write(b"?")
        probe.flush()
        os.fsync(probe.fileno())
        return os.fstat(probe.fileno()).st_mtime


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def disk(settings: Settings) -> Check:
    """Whether more is free than has to stay free."""
    folder = _nearest(Path(settings.node.state_dir))
    usage = shutil.disk_usage(folder)
    free, total, reserve = usage.free >> 20, usage.total >> 20, settings.listener.disk_reserve_mb
    seen = f"{free} of {total} MiB free at {folder}, {reserve} MiB in reserve"
    if reserve >= total:
        return failed("disk", seen, "the reserve exceeds the disk: lower listener.disk_reserve_mb")
    if free <= reserve:
        advice = "nothing is accepted: free some space, or lower listener.disk_reserve_mb"
        return failed("disk", seen, advice)
    return passed("disk", seen)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def clock(settings: Settings, now: datetime) -> Check:
    """Whether date and time can be right, as far as anybody here can tell."""
    if now.year < _YEAR:
        return failed("clock", f"it is {now:%Y-%m-%d %H:%M}", "set the clock (timedatectl)")
    if not now.tzname():
        return failed("clock", "no time zone is known", "set it: timedatectl set-timezone")
    skew_s = _skew(Path(settings.node.state_dir), now)
    if skew_s > _SKEW_S:
        seen = f"the file server of node.state_dir differs by {skew_s:.0f} s"
        return failed("clock", seen, "synchronise both clocks by NTP")
    synchronised = _is_synchronised()
    if synchronised is False:
        advice = "synchronise it by NTP: timedatectl set-ntp true"
        return failed("clock", "the system says that it is not synchronised", advice)
    how = "synchronised" if synchronised else "nobody here can say whether it is synchronised"
    return passed("clock", f"{now:%Y-%m-%d %H:%M:%S %Z}, {how}")


def _skew(folder: Path, now: datetime) -> float:
    """How far the file system's clock is from ours, seconds; 0 where we cannot write."""
    try:
        return max(0.0, abs(_probe(folder) - now.timestamp()))
    except OSError:
        return 0.0


def _is_synchronised() -> bool | None:
    """What systemd says; None where it says nothing."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(said.stdout.strip())


def work_queue(settings: Settings) -> Check:
    """Whether the database of the work queue answers."""
    name = "database"
    shared = database.is_shared(settings)
    if not shared and not (Path(settings.node.state_dir) / "work.sqlite").exists():
        return skipped(name, "no node has run with this state_dir yet")
    try:
        with database.open_client(settings) as client:
            client.list_workflows(limit=1, load_input=False, load_output=False)
    except NodeError as error:
        advice = (
            "start the PostgreSQL server, or correct node.database"
            if shared
            else "see docs/durability.md, or move the file away: it is made anew"
        )
        return failed(name, str(error), advice)
    return passed(name, "PostgreSQL answers" if shared else "work.sqlite can be read")
