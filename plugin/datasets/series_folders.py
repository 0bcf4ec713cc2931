"""Folders of DICOM series: which holds which series, and which instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.nodules import is_held_out

if TYPE_CHECKING:
    from pathlib import Path


def by_series(folder: Path) -> dict[str, Path]:
    """Subfolders, one series each, in the order of their names, by Series Instance UID.

    Raises InvalidDataset where there is none, where one is there twice, or where one's first file
    is not DICOM.
    """
    if not folder.is_dir():
        raise InvalidDataset(f"{folder}: there is no such folder")
    found: dict[str, Path] = {}
    for each in sorted(folder.iterdir()):
        if not each.is_dir():
            continue
        uid = series_uid(each)
        if uid in found:
            raise InvalidDataset(f"{each}: is of the same series as {found[uid].name}")
        found[uid] = each
    if not found:
        raise InvalidDataset(f"{folder}: there is no series in it")
    return found


def series_uid(folder: Path) -> str:
    """Series Instance UID of the first instance of a folder. Raises InvalidDataset."""
    return _element(_first(folder), "SeriesInstanceUID")


def patient_id(folder: Path) -> str:
    """Patient ID of the first instance of a folder; its name where there is none."""
    return _element(_first(folder), "PatientID") or folder.name


def is_held_out_series(folder: Path, patient: str) -> bool:
    """Whether a series is for validation: as its patient is, or as its nodule patches are.

    Nodule patches name no patient, so both count. Raises InvalidDataset.
    """
    return is_held_out(patient) or is_held_out(series_uid(folder))


def by_instance(folder: Path) -> dict[str, Path]:
    """Folder of the series of each instance below `folder`, by SOP Instance UID.

    Raises InvalidDataset.
    """
    return {
        _element(path, "SOPInstanceUID"): series
        for series in by_series(folder).values()
        for path in series.iterdir()
    }


def _first(folder: Path) -> Path:
    if not folder.is_dir():
        raise InvalidDataset(f"{folder}: there is no such folder")
    paths = sorted(folder.iterdir())
    if not paths:
        raise InvalidDataset(f"{folder}: the folder is empty")
    return paths[0]


def _element(path: Path, keyword: str) -> str:
    try:
        return str(dcmread(path, specific_tags=[keyword]).get(keyword, ""))
    except (InvalidDicomError, OSError) as error:
        raise InvalidDataset(f"{path}: {error}") from error
