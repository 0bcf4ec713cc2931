"""A structured report -> bookmarks: ours, and those of viewers where both axes can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from plugin.bookmark import Bookmark, LesionType
from plugin.errors import InvalidReport
from plugin.measure import length
from plugin.report import codes, images, text, tree
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from plugin.bookmark import Axis, Box

#: What viewers call the axes besides our own codes: SNOMED's older identifiers.
AXIS_CODES: Final = {
    codes.LONG_AXIS: (codes.LONG_AXIS, codes.LONG_AXIS_SRT),
    codes.SHORT_AXIS: (codes.SHORT_AXIS, codes.SHORT_AXIS_SRT),
}
#: A person who marks a lesion is certain of it.
MARKED_BY_HAND: Final = 1.0
#: Decimals of a score; a certainty in percent has two less.
SCORE_DECIMALS: Final = 4


@dataclass(frozen=True)
class _Source:
    """What a report says about all of its lesions."""

    #: Series Instance UID by SOP Instance UID of the evidence.
    series: dict[str, str]
    #: Where each slice comes from, ascending along the normal.
    slices: list[Slice]
    #: Distance in mm between neighbouring (rows, columns); (1, 1) when it is not told.
    spacing: tuple[float, float]


@dataclass(frozen=True)
class Reading:
    """What a report gave."""

    #: Its lesions with both diameters, in its order.
    bookmarks: tuple[Bookmark, ...]
    #: One sentence for each group of measurements that has no diameters to draw, by its name.
    remarks: tuple[str, ...]


def read(document: Dataset, slices: Sequence[Slice] | None = None) -> Reading:
    """The bookmarks of a Measurement Report (PS3.16 TID 1500), in its order.

    A group without drawn diameters, such as the statistics of a segmented region, is no
    bookmark and gives a remark. `slices` are those of the volume, which tell the slice
    index; without them the images count in the order in which the report lists them, which
    in ours is that of the slices. Another writer may leave out certainty (then 1), site
    (then soft tissue), mean HU and volume (then NaN), and box (then that of the axes).
    Raises InvalidReport, naming the item, when an axis cannot be understood.
    """
    if document.get("Modality") != "SR":
        raise InvalidReport("Modality is not SR: this is no structured report")
    if not any(tree.is_named(document, title) for title in codes.MEASUREMENT_REPORTS):
        raise InvalidReport("the title is not that of a Measurement Report (TID 1500)")
    source = _source(document, slices)
    bookmarks, remarks = [], []
    for number, group in enumerate(tree.lesion_groups(document), start=1):
        if _is_drawn(group):
            bookmarks.append(_bookmark(group, text.name(number), source))
        else:
            remarks.append(_remark(group, text.name(number)))
    return Reading(tuple(bookmarks), tuple(remarks))


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


def _source(document: Dataset, slices: Sequence[Slice] | None) -> _Source:
    series = {
        str(instance.ReferencedSOPInstanceUID): str(each.SeriesInstanceUID)
        for study in document.get("CurrentRequestedProcedureEvidenceSequence") or []
        for each in study.ReferencedSeriesSequence
        for instance in each.ReferencedSOPSequence
    }
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
    order = list(slices or [Slice(uid, None) for uid in listed or series])
    return _Source(series, order, _spacing(groups))


def _spacing(groups: list[Dataset]) -> tuple[float, float]:
    pair = (codes.VERTICAL_PIXEL_SPACING, codes.HORIZONTAL_PIXEL_SPACING)
    for group in groups:
        items = [tree.find(group, code, "NUM") for code in pair]
        if all(items):
            down, across = (tree.number(found[0], codes.MILLIMETRE, "spacing") for found in items)
            return down, across
    return 1.0, 1.0


def _bookmark(group: Dataset, where: str, source: _Source) -> Bookmark:
    long_item, short_item = (_axis_item(group, code, where) for code in AXIS_CODES)
    place = Slice(*tree.reference(tree.content(long_item)[0], f"{where}: Long Axis"))
    long_axis, short_axis = _axes(long_item, short_item, where, source)
    index = _index(place, where, source)
    return Bookmark(
        series_instance_uid=source.series[place.sop_instance_uid],
        sop_instance_uid=place.sop_instance_uid,
        frame_number=place.frame_number,
        slice_index=index,
        long_axis=long_axis,
        short_axis=short_axis,
        long_axis_mm=tree.number(long_item, codes.MILLIMETRE, f"{where}: Long Axis"),
        short_axis_mm=tree.number(short_item, codes.MILLIMETRE, f"{where}: Short Axis"),
        box=_box(group, where, (long_axis, short_axis)),
        slice_range=_slice_range(group, where, index, source),
        lesion_type=_lesion_type(group, where),
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
    long_item: Dataset, short_item: Dataset, where: str, source: _Source
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


def _index(place: Slice, where: str, source: _Source) -> int:
    if place.sop_instance_uid not in source.series:
        raise InvalidReport(f"{where}: instance {place.sop_instance_uid} is not in the evidence")
    if place in source.slices:
        return source.slices.index(place)
    if place.frame_number is None:
        raise InvalidReport(f"{where}: instance {place.sop_instance_uid} is not among the slices")
    return place.frame_number - 1


def _slice_range(group: Dataset, where: str, index: int, source: _Source) -> tuple[int, int]:
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


def _lesion_type(group: Dataset, where: str) -> LesionType:
    """By the code of the site, or by what it is called; soft tissue when it is not told."""
    for item in tree.find(group, codes.FINDING_SITE):
        site = tree.coded(item, f"{where}: Finding Site")
        for lesion_type, code in codes.SITES.items():
            if tree.same(site, code) or str(site.get("CodeMeaning", "")).lower() == lesion_type:
                return lesion_type
    return LesionType.SOFT_TISSUE


def _score(group: Dataset, where: str) -> float:
    percent = _number(group, codes.CERTAINTY, codes.PERCENT, where)
    return MARKED_BY_HAND if math.isnan(percent) else round(percent / 100, SCORE_DECIMALS)


def _number(group: Dataset, code: Code, unit: Code, where: str) -> float:
    """The value of a NUM that may be absent, then NaN."""
    found = tree.find(group, code, "NUM")
    return tree.number(found[0], unit, f"{where}: {code.meaning}") if found else math.nan
