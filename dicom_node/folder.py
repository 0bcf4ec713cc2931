"""A folder of DICOM files as a person gives it on the command line."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_node.errors import NodeError
from plugin import Series

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Contents:
    """What a folder and its subfolders hold."""

    #: One for each Series Instance UID, in the order of the UIDs.
    series: tuple[Series, ...]
    #: Files that are no DICOM instances.
    others: tuple[Path, ...]

    @property
    def instances(self) -> list[Path]:
        """All DICOM files, series by series."""
        return [path for series in self.series for path in series.instances]


def scan(folder: Path) -> Contents:
    """Read the headers of all files below a folder.

    Raises NodeError when it is no folder or holds no DICOM instance.
    """
    if not folder.is_dir():
        raise NodeError(f"{folder}: there is no such folder")
    by_series: dict[str, list[Path]] = defaultdict(list)
    others = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        uid = _series_uid(path)
        if uid is None:
            others.append(path)
        else:
            by_series[uid].append(path)
    if not by_series:
        raise NodeError(f"{folder}: holds no DICOM instances")
    series = tuple(Series(uid, tuple(by_series[uid])) for uid in sorted(by_series))
    return Contents(series, tuple(others))


def _series_uid(path: Path) -> str | None:
    try:
        header = dcmread(path, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True)
    except (InvalidDicomError, EOFError):
        return None
    uid = header.get("SeriesInstanceUID")
    return str(uid) if uid else None  # a DICOMDIR is DICOM, but no instance of a series
