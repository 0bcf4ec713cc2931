"""Bookmarks as JSON: what `lesionmark analyse --json` writes and docs/bookmarks.md describes."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from plugin.bookmark import Bookmark, LesionType, to_record
from plugin.datasets.boxes import entries, field, number
from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plugin.bookmark import Axis

_TEXTS = ("series_instance_uid", "sop_instance_uid", "tracking_uid")
#: Numbers that are not negative.
_LENGTHS = ("long_axis_mm", "short_axis_mm")
#: What may be unknown (NaN): nobody outlined the lesion.
_UNKNOWABLE = ("mean_hu", "volume_mm3")


def read_bookmarks(path: Path) -> list[Bookmark]:
    """The bookmarks of a file. Raises InvalidDataset naming the bookmark and the key."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDataset(f"{path}: {error}") from error
    listed = enumerate(entries(record, "the file", str(path)))
    return [_bookmark(each, f"{path}, bookmark {index}") for index, each in listed]


def write_bookmarks(path: Path, bookmarks: Iterable[Bookmark]) -> None:
    """Write a file; every digit is kept."""
    records = [to_record(each) for each in bookmarks]
    path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def _bookmark(record: Any, where: str) -> Bookmark:
    column0, row0, column1, row1 = _numbers(record, "box", 4, where)
    first, last = (int(each) for each in _numbers(record, "slice_range", 2, where))
    index = _integer(record, "slice_index", where)
    if column1 < column0 or row1 < row0:
        raise InvalidDataset(f"{where}: box ends before it begins")
    if not 0 <= first <= index <= last:
        raise InvalidDataset(f"{where}: slice_range {first} to {last} does not hold {index}")
    series, instance, tracking = (_text(record, name, where) for name in _TEXTS)
    long_mm, short_mm = (_length(record, name, where) for name in _LENGTHS)
    mean_hu, volume = (_unknowable(record, name, where) for name in _UNKNOWABLE)
    frame = field(record, "frame_number", where)
    return Bookmark(
        series_instance_uid=series,
        sop_instance_uid=instance,
        frame_number=None if frame is None else _integer(record, "frame_number", where),
        slice_index=index,
        long_axis=_axis(record, "long_axis", where),
        short_axis=_axis(record, "short_axis", where),
        long_axis_mm=long_mm,
        short_axis_mm=short_mm,
        box=(column0, row0, column1, row1),
        slice_range=(first, last),
        lesion_type=_lesion_type(record, where),
        score=number(field(record, "score", where), "score", where),
        tracking_uid=tracking,
        mean_hu=mean_hu,
        volume_mm3=volume,
    )


def _numbers(record: Any, name: str, count: int, where: str) -> list[float]:
    values = entries(field(record, name, where), name, where)
    if len(values) != count:
        raise InvalidDataset(f"{where}: {name} must hold {count} numbers, not {len(values)}")
    return [number(each, name, where) for each in values]


def _integer(record: Any, name: str, where: str) -> int:
    value = field(record, name, where)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidDataset(f"{where}: {name} {value!r} is not a whole number")
    return value


def _text(record: Any, name: str, where: str) -> str:
    value = field(record, name, where)
    if not isinstance(value, str) or not value:
        raise InvalidDataset(f"{where}: {name} {value!r} is not a text")
    return value


def _length(record: Any, name: str, where: str) -> float:
    value = number(field(record, name, where), name, where)
    if value < 0:
        raise InvalidDataset(f"{where}: {name} {value!r} is negative")
    return value


def _unknowable(record: Any, name: str, where: str) -> float:
    value = field(record, name, where)
    if isinstance(value, float) and not isfinite(value):
        return float("nan")
    return number(value, name, where)


def _axis(record: Any, name: str, where: str) -> Axis:
    ends = entries(field(record, name, where), name, where)
    points = [entries(each, name, where) for each in ends]
    if [len(point) for point in points] != [2, 2]:
        raise InvalidDataset(f"{where}: {name} must hold two points of column and row")
    (x0, y0), (x1, y1) = ([number(value, name, where) for value in point] for point in points)
    return (x0, y0), (x1, y1)


def _lesion_type(record: Any, where: str) -> LesionType:
    value = field(record, "lesion_type", where)
    if value not in list(LesionType):
        raise InvalidDataset(
            f"{where}: lesion_type {value!r} is not one of {', '.join(LesionType)}"
        )
    return LesionType(value)
