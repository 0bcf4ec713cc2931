"""`lesions.json`: series in a folder, and the lesions that readers marked in them.

A list of objects: `series_dir` (relative to the folder), `patient` (optional) and `lesions`, each
with `key_slice` (index from 0, ascending z), `key_bbox_px` (column0, row0, column1, row1, from 0),
and optionally `recist` (`long_mm`, `short_mm`, and `long_px`: column, row, column, row), `label`,
`bbox_px` (column0, row0, slice0, column1, row1, slice1, the extent in all directions), `contours`
(each with `slice` and `points_px`, a list of column and row), and `group`: marks with the same
group are of one lesion, by several readers or on several slices.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.outlines import Contour

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.bookmark import Axis, Box

#: File name of the table.
TABLE = "lesions.json"


@dataclass(frozen=True)
class Mark:
    """What one reader drew on one slice."""

    #: Marks of one series with the same number are of one lesion.
    group: int
    #: Index of the slice, from 0, ascending z.
    slice_index: int
    #: Outermost pixels (column0, row0, column1, row1).
    box: Box
    #: Long and short axis, mm; None where only a box was drawn.
    axes_mm: tuple[float, float] | None
    #: What it is, in the words of the data set.
    label: str
    #: Ends of the long axis, (column, row) in pixels; None where nobody drew it.
    long_axis: Axis | None = None
    #: First and last slice index; None where nobody told them.
    extent: tuple[int, int] | None = None
    #: What bounds the lesion, slice by slice; empty where nobody outlined it.
    contours: tuple[Contour, ...] = ()


@dataclass(frozen=True)
class MarkedSeries:
    """One series and everything that was marked in it."""

    #: Folder of its instances.
    folder: Path
    #: Whose it is; the name of the folder where nothing is said.
    patient: str
    #: Empty where readers found nothing.
    marks: tuple[Mark, ...]


def read_marked(folder: Path) -> list[MarkedSeries]:
    """The series that a folder's `lesions.json` describes.

    Raises InvalidDataset naming the entry and what is wrong with it.
    """
    table = folder / TABLE
    try:
        entries = json.loads(table.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDataset(f"{table}: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise InvalidDataset(f"{table}: must be a list of series, not empty")
    series = [_series(folder, entry, f"{table}: series {i}") for i, entry in enumerate(entries)]
    if not any(each.marks for each in series):
        raise InvalidDataset(f"{table}: no series has a lesion")
    return series


def _series(folder: Path, entry: Any, where: str) -> MarkedSeries:
    try:
        series, lesions = folder / entry["series_dir"], entry["lesions"]
        marks = tuple(_mark(lesion) for lesion in lesions)
    except KeyError as error:
        raise InvalidDataset(f"{where}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise InvalidDataset(f"{where}: {error}") from error
    return MarkedSeries(series, entry.get("patient", series.name), marks)


def _mark(lesion: dict[str, Any]) -> Mark:
    box, recist = _box(lesion["key_bbox_px"]), lesion.get("recist")
    return Mark(
        group=int(lesion.get("group", 0)),
        slice_index=int(lesion["key_slice"]),
        box=box,
        axes_mm=(float(recist["long_mm"]), float(recist["short_mm"])) if recist else None,
        label=str(lesion.get("label", "not given")),
        long_axis=_long_axis(recist),
        extent=_extent(lesion.get("bbox_px")),
        contours=tuple(_contour(each) for each in lesion.get("contours", ())),
    )


def _box(edges: list[float]) -> Box:
    """Raises ValueError for what is no box."""
    column0, row0, column1, row1 = map(float, edges)
    if not (isfinite(column0 + row0 + column1 + row1) and column0 <= column1 and row0 <= row1):
        raise ValueError(f"key_bbox_px {edges} is no box")
    return column0, row0, column1, row1


def _long_axis(recist: dict[str, Any] | None) -> Axis | None:
    if not recist or "long_px" not in recist:
        return None
    x0, y0, x1, y1 = map(float, recist["long_px"])
    return (x0, y0), (x1, y1)


def _extent(box: list[float] | None) -> tuple[int, int] | None:
    if box is None:
        return None
    _, _, first, _, _, last = map(float, box)
    return int(first), int(last)


def _contour(record: dict[str, Any]) -> Contour:
    points = tuple((float(x), float(y)) for x, y in record["points_px"])
    return Contour(int(record["slice"]), points)
