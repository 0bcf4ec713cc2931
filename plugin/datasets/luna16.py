"""LUNA16's annotations.csv and annotations_excluded.csv: spheres in patient coordinates."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugin.datasets.boxes import number
from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: The nodules to be found, and what need not be found: fewer than three of four readers saw it.
TABLE, EXCLUDED = "annotations.csv", "annotations_excluded.csv"
#: What the tables say of a mark whose size nobody measured, mm.
UNMEASURED = -1.0
#: The columns of both tables.
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")


@dataclass(frozen=True)
class Sphere:
    """One nodule."""

    #: Series Instance UID.
    series_instance_uid: str
    #: Centre, mm in LPS patient coordinates (x, y, z).
    centre: tuple[float, float, float]
    #: mm; UNMEASURED where nobody measured it.
    diameter_mm: float


def read_luna16(path: Path) -> list[Sphere]:
    """The nodules of a table. Raises InvalidDataset naming row and column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(lines, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataset(f"{path}: {error}") from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise InvalidDataset(f"{path}: the header must be {', '.join(COLUMNS)}")
    return [_sphere(row, f"{path}, row {i}") for i, row in enumerate(rows[1:], start=1)]


def write_luna16(path: Path, spheres: Iterable[Sphere]) -> None:
    """Write a table; every digit is kept."""
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for each in spheres:
            numbers = (*each.centre, each.diameter_mm)
            writer.writerow([each.series_instance_uid, *(repr(float(n)) for n in numbers)])


def _sphere(row: list[str], where: str) -> Sphere:
    if len(row) != len(COLUMNS):
        raise InvalidDataset(f"{where}: has {len(row)} of {len(COLUMNS)} columns")
    x, y, z, diameter = (
        number(text, name, where) for name, text in zip(COLUMNS[1:], row[1:], strict=True)
    )
    if not row[0]:
        raise InvalidDataset(f"{where}: seriesuid is missing")
    if diameter < 0 and diameter != UNMEASURED:
        raise InvalidDataset(f"{where}: diameter_mm {row[4]!r} is negative")
    return Sphere(row[0], (x, y, z), diameter)
