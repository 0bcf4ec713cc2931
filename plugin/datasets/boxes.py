"""Lists of images with boxes: what COCO, PASCAL-VOC and TensorBox have in common.

A box here is that of a Bookmark: its outermost pixels, zero-based (column0, row0, column1, row1)
with integers at pixel centres. Formats that give the edges of a box instead begin half a pixel
earlier and end half a pixel later, and count from the corner of the first pixel.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugin.bookmark import Bookmark, Box


@dataclass(frozen=True)
class LabelledBox:
    """One lesion on one image."""

    #: What it is, in the words of the list.
    label: str
    #: Outermost pixels (column0, row0, column1, row1).
    box: Box
    #: Certainty, 0 to 1; None in lists of the truth.
    score: float | None = None


@dataclass(frozen=True)
class BoxedImage:
    """One image and the boxes on it."""

    #: Its SOP Instance UID, or the name of its file.
    name: str
    #: Columns and rows; None where the list does not say.
    size: tuple[int, int] | None
    #: In the order of the list; empty where nothing was found.
    boxes: tuple[LabelledBox, ...]


def of_bookmarks(bookmarks: Iterable[Bookmark], size: tuple[int, int]) -> list[BoxedImage]:
    """Bookmarks by key slice, in their order, on images of so many columns and rows."""
    images: dict[str, list[LabelledBox]] = defaultdict(list)
    for each in bookmarks:
        found = LabelledBox(each.lesion_type.value, each.box, each.score)
        images[each.sop_instance_uid].append(found)
    return [BoxedImage(name, size, tuple(boxes)) for name, boxes in images.items()]


def from_edges(x0: float, y0: float, x1: float, y1: float) -> Box:
    """Edges from the corner of the first pixel -> outermost pixels."""
    return x0, y0, x1 - 1.0, y1 - 1.0


def to_edges(box: Box) -> Box:
    """Outermost pixels -> edges from the corner of the first pixel."""
    column0, row0, column1, row1 = box
    return column0, row0, column1 + 1.0, row1 + 1.0


def checked(image: BoxedImage, where: str) -> BoxedImage:
    """The image itself. Raises InvalidDataset for boxes outside it or of no extent."""
    for each in image.boxes:
        column0, row0, column1, row1 = each.box
        if column1 < column0 or row1 < row0:
            raise InvalidDataset(f"{where}: the box {each.box} ends before it begins")
        outside = min(column0, row0) < 0
        if image.size is not None:
            outside = outside or column1 > image.size[0] - 1 or row1 > image.size[1] - 1
        if outside:
            what = "the image" if image.size is None else f"its {image.size} pixels"
            raise InvalidDataset(f"{where}: the box {each.box} lies outside {what}")
    return image


def number(value: Any, name: str, where: str) -> float:
    """A finite number of a list. Raises InvalidDataset naming it."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if not isfinite(found) or isinstance(value, bool):
        raise InvalidDataset(f"{where}: {name} {value!r} is not a number")
    return found


def field(entry: Any, name: str, where: str) -> Any:
    """A field of a JSON object. Raises InvalidDataset naming it."""
    if not isinstance(entry, dict) or name not in entry:
        raise InvalidDataset(f"{where}: {name} is missing")
    return entry[name]


def identifier(entry: Any, name: str, where: str) -> int | str:
    """A field of a JSON object that names something. Raises InvalidDataset naming it."""
    value = field(entry, name, where)
    if not isinstance(value, int | str):
        raise InvalidDataset(f"{where}: {name} {value!r} is neither a number nor a text")
    return value


def entries(value: Any, name: str, where: str) -> list[Any]:
    """A list of a JSON file. Raises InvalidDataset naming it."""
    if not isinstance(value, list):
        raise InvalidDataset(f"{where}: {name} must be a list")
    return value
