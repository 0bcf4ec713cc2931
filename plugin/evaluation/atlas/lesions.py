"""The lesions of a data set, whatever its form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from plugin import volume
from plugin.datasets import deeplesion_folder, marked
from plugin.datasets.deeplesion_images import read_volume
from plugin.datasets.deeplesion_table import read_table
from plugin.datasets.errors import InvalidDataset
from plugin.evaluation.slices import Drawn, picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plugin.datasets.deeplesion import Row
    from plugin.datasets.marked import Mark
    from plugin.volume import Volume

#: What is drawn on the key slices; bright on grey for any colour vision.
COLOUR = (230, 159, 0)
#: What is not told.
UNTOLD = "not given"


@dataclass(frozen=True)
class Lesion:
    """One bookmark of a data set."""

    #: What it is called: the file of its key slice, or series and slice.
    name: str
    #: Whose it is.
    patient: str
    #: Its type, in the words of the data set; UNTOLD where nobody said.
    label: str
    #: Part of the data set; UNTOLD where there are none.
    split: str
    #: Long and short axis, mm; None where only a box was drawn.
    axes_mm: tuple[float, float] | None
    #: Place in the body (x, y, z) from 0 to 1, right to left, front to back, head to feet; None
    #: where it is unknown.
    location: tuple[float, ...] | None
    #: Its key slice with what was drawn, as PNG; None where the images are not at hand. Raises
    #: InvalidDataset or UnsuitableSeries.
    picture: Callable[[], bytes] | None


def read_lesions(dataset: Path) -> list[Lesion]:
    """The lesions of DL_info.csv, of a folder with Images_png, or of one with `lesions.json`.

    Raises InvalidDataset naming what is wrong, and for a data set without lesions.
    """
    if not dataset.exists():
        raise InvalidDataset(f"{dataset}: there is no such file or folder")
    found = _of_table(dataset, None) if dataset.is_file() else _of_folder(dataset)
    if not found:
        raise InvalidDataset(f"{dataset}: there is no lesion in it")
    return found


def _of_folder(folder: Path) -> list[Lesion]:
    if (folder / marked.TABLE).is_file():
        return [
            _of_mark(series, mark) for series in marked.read_marked(folder) for mark in series.marks
        ]
    images = deeplesion_folder.find_images(folder)
    if images is None:
        raise InvalidDataset(
            f"{folder}: there is neither {marked.TABLE} nor {deeplesion_folder.IMAGES}"
        )
    return _of_table(deeplesion_folder.find_table(images), images)


def _of_table(table: Path, images: Path | None) -> list[Lesion]:
    return [_of_row(row, images) for row in read_table(table)]


def _of_row(row: Row, images: Path | None) -> Lesion:
    at_hand = images is not None and (images / row.series_name).is_dir()
    return Lesion(
        name=row.file_name,
        patient=f"{row.patient:06d}",
        label=row.lesion_type.value if row.lesion_type else UNTOLD,
        split=row.split.name.lower(),
        axes_mm=row.axes_mm,
        location=row.location,
        picture=(lambda: _row_picture(row, images)) if images and at_hand else None,
    )


def _row_picture(row: Row, images: Path) -> bytes:
    slices = read_volume(images, row)
    drawn = Drawn(row.drawn_box, (row.long_axis, row.short_axis), COLOUR)
    label = row.lesion_type.value if row.lesion_type else ""
    index = row.slice_index(row.key_slice)
    return picture(slices.hu[index], slices.spacing[1:], [drawn], label)


def _of_mark(series: marked.MarkedSeries, mark: Mark) -> Lesion:
    return Lesion(
        name=f"{series.folder.name}, slice {mark.slice_index}",
        patient=series.patient,
        label=mark.label,
        split=UNTOLD,
        axes_mm=mark.axes_mm,
        location=None,
        picture=(lambda: _mark_picture(series.folder, mark)) if series.folder.is_dir() else None,
    )


@lru_cache(maxsize=1)
def _volume(folder: Path) -> Volume:
    """The marks of a series follow each other: it is read once."""
    return volume.read(folder.iterdir())


def _mark_picture(folder: Path, mark: Mark) -> bytes:
    ct = _volume(folder)
    if not 0 <= mark.slice_index < len(ct.hu):
        raise InvalidDataset(f"{folder}: there is no slice {mark.slice_index}")
    drawn = Drawn(mark.box, (mark.long_axis,) if mark.long_axis else (), COLOUR)
    return picture(ct.hu[mark.slice_index], ct.spacing[1:], [drawn], mark.label)
