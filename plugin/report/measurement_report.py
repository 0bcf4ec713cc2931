"""A Measurement Report (PS3.16 TID 1500) -> bookmarks: ours, and those of viewers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from plugin.bookmark import Bookmark
from plugin.errors import InvalidReport
from plugin.measure import length
from plugin.report import authors, codes, images, sites, text, tree
from plugin.report.reading import MARKED_BY_HAND, reading
from plugin.volume import Slice

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from plugin.bookmark import Axis, Box
    from plugin.report.reading import Reading
    from plugin.report.source import Source

#: What viewers call the axes besides our own codes: SNOMED's older identifiers.
AXIS_CODES: Final = {
    codes.LONG_AXIS: (codes.LONG_AXIS, codes.LONG_AXIS_SRT),
    codes.SHORT_AXIS: (codes.SHORT_AXIS, codes.SHORT_AXIS_SRT),
}
#: Decimals of a score; a certainty in percent has two less.
SCORE_DECIMALS: Final = 4


@dataclass(frozen=True)
class _Evidence:
    """What a report says about all of its lesions."""

    #: The images, with what it refers to.
    images: Source
    #: Where each slice comes from, ascending along the normal, as the report has it.
    slices: list[Slice]
    #: Distance in mm between neighbouring (rows, columns); (1, 1) when it is not told.
    spacing: tuple[float, float]


def read(document: Dataset, source: Source) -> Reading:
    """The bookmarks of a Measurement Report, in its order.

    A group without drawn diameters, such as the statistics of a segmented region, is no
    bookmark and gives a remark. Without slices and headers the images count in the order in which
    the report lists them, which in ours is that of the slices. Another writer may leave out
    certainty (then 1), site (then soft tissue), mean HU and volume (then NaN), and box (then that
    of the axes). Raises InvalidReport, naming the item, when an axis cannot be understood.
    """
    evidence = _evidence(document, source)
    found, remarks = [], []
    for number, path in enumerate(tree.paths_to_lesions(document), start=1):
        if _is_drawn(path[-1]):
            bookmark = _bookmark(path[-1], text.name(number), evidence)
            found.append((bookmark, authors.of_group(path)))
        else:
            remarks.append(_remark(path[-1], text.name(number)))
    return reading(found, remarks)


def _is_drawn(group: Dataset) -> bool:
    """Whether a long axis is there and is more than a number."""
    axes = (axis for code in AXIS_CODES[codes.LONG_AXIS] for axis in tree.find(group, code, "NUM"))
    return any(tree.content(axis) for axis in axes)


def _remark(group: Dataset, where: str) -> str:
    """What a group without diameters is called and holds instead."""
    names = [str(item.get("TextValue")) for item in tree.find(group, codes.TRACKING_IDENTIFIER)]
    held = dict.fromkeys(
        str(name.get("CodeMeaning"))
        for item in tree.content(group)
        if item.get("ValueType") == "NUM"
        for name in item.get("ConceptNameCodeSequence") or []
    )
    called = f"{where} ({', '.join(names)})" if names else where
    return f"{called} has no diameters to draw, but {', '.join(held) or 'no measurement'}"


def _evidence(document: Dataset, source: Source) -> _Evidence:
    groups = [
        group
        for library in tree.find(document, codes.IMAGE_LIBRARY)
        for group in tree.content(library)
    ]
    listed = [
        tree.reference(item, "an entry of the Image Library")[0]
        for group in groups
        for item in tree.content(group)
        if item.get("ValueType") == "IMAGE"
    ]
    order = [Slice(uid, None) for uid in listed or source.references]
    return _Evidence(source, order, _spacing(groups))


def _spacing(groups: list[Dataset]) -> tuple[float, float]:
    pair = (codes.VERTICAL_PIXEL_SPACING, codes.HORIZONTAL_PIXEL_SPACING)
    for group in groups:
        items = [tree.find(group, code, "NUM") for code in pair]
        if all(items):
            down, across = (tree.number(found[0], codes.MILLIMETRE, "spacing") for found in items)
            return down, across
    return 1.0, 1.0


def _bookmark(group: Dataset, where: str, source: _Evidence) -> Bookmark:
    long_item, short_item = (_axis_item(group, code, where) for code in AXIS_CODES)
    place = Slice(*tree.reference(tree.content(long_item)[0], f"{where}: Long Axis"))
    long_axis, short_axis = _axes(long_item, short_item, where, source)
    index = _index(place, where, source)
    return Bookmark(
        series_instance_uid=source.images.references[place.sop_instance_uid],
        sop_instance_uid=place.sop_instance_uid,
        frame_number=place.frame_number,
        slice_index=index,
        long_axis=long_axis,
        short_axis=short_axis,
        long_axis_mm=tree.number(long_item, codes.MILLIMETRE, f"{where}: Long Axis"),
        short_axis_mm=tree.number(short_item, codes.MILLIMETRE, f"{where}: Short Axis"),
        box=_box(group, where, (long_axis, short_axis)),
        slice_range=_slice_range(group, where, index, source),
        lesion_type=sites.of_group(group, where),
        score=_score(group, where),
        tracking_uid=tree.text(tree.one(group, codes.TRACKING_UID, where), where),
        mean_hu=_number(group, codes.ATTENUATION, codes.HOUNSFIELD, where),
        volume_mm3=_number(group, codes.VOLUME, codes.CUBIC_MILLIMETRE, where),
    )


def _axis_item(group: Dataset, code: Code, where: str) -> Dataset:
    """The NUM of an axis with its points. Raises InvalidReport when it cannot be drawn."""
    found = [item for alias in AXIS_CODES[code] for item in tree.find(group, alias, "NUM")]
    if not found:
        raise InvalidReport(f"{where} has no {code.meaning} ({code.value})")
    tree.points(found[0], 2, f"{where}: {code.meaning}")
    return found[0]


def _axes(
    long_item: Dataset, short_item: Dataset, where: str, source: _Evidence
) -> tuple[Axis, Axis]:
    """The ends of both axes, the longer first.

    Cornerstone3D writes the points of one under the name of the other.
    """
    first, second = (
        cast("Axis", tuple(map(images.from_scoord, tree.points(item, 2, where))))
        for item in (long_item, short_item)
    )
    if length(first, *source.spacing) < length(second, *source.spacing):
        return second, first
    return first, second


def _index(place: Slice, where: str, source: _Evidence) -> int:
    if place.sop_instance_uid not in source.images.references:
        raise InvalidReport(f"{where}: instance {place.sop_instance_uid} is not in the evidence")
    if source.images.slices is not None or place in source.images.shown:
        return source.images.index(place, where)
    if place in source.slices:
        return source.slices.index(place)
    if place.frame_number is None:
        raise InvalidReport(f"{where}: instance {place.sop_instance_uid} is not among the slices")
    return place.frame_number - 1


def _slice_range(group: Dataset, where: str, index: int, source: _Evidence) -> tuple[int, int]:
    reached = [
        _index(Slice(*tree.reference(item, where)), where, source)
        for item in tree.find(group, codes.SOURCE_OF_MEASUREMENT, "IMAGE")
    ]
    return min([index, *reached]), max([index, *reached])


def _box(group: Dataset, where: str, axes: tuple[Axis, Axis]) -> Box:
    certainty = tree.find(group, codes.CERTAINTY, "NUM")
    if certainty and tree.content(certainty[0]):
        drawn = tree.points(certainty[0], 5, f"{where}: Certainty of Finding")
        corners = [images.from_scoord(point) for point in drawn]
    else:
        corners = [end for axis in axes for end in axis]
    columns, rows = zip(*corners, strict=True)
    return min(columns), min(rows), max(columns), max(rows)


def _score(group: Dataset, where: str) -> float:
    percent = _number(group, codes.CERTAINTY, codes.PERCENT, where)
    return MARKED_BY_HAND if math.isnan(percent) else round(percent / 100, SCORE_DECIMALS)


def _number(group: Dataset, code: Code, unit: Code, where: str) -> float:
    """The value of a NUM that may be absent, then NaN."""
    found = tree.find(group, code, "NUM")
    return tree.number(found[0], unit, f"{where}: {code.meaning}") if found else math.nan
