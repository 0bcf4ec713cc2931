"""`lesions.json`: series in a folder, and the lesions that readers marked in them.

A list of objects: `series_dir` (relative to the folder), `patient` (optional) and `lesions`, each
with `key_slice` (index from 0, ascending z), `key_bbox_px` (column0, row0, column1, row1, from 0),
and optionally `recist` (`long_mm`, `short_mm`), `label`, and `group`: marks with the same group
are of one lesion, by several readers or on several slices.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.bookmark import Box

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
    column0, row0, column1, row1 = map(float, lesion["key_bbox_px"])
    recist = lesion.get("recist")
    return Mark(
        group=int(lesion.get("group", 0)),
        slice_index=int(lesion["key_slice"]),
        box=(column0, row0, column1, row1),
        axes_mm=(float(recist["long_mm"]), float(recist["short_mm"])) if recist else None,
        label=str(lesion.get("label", "not given")),
    )
