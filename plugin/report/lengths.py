"""A structured report of older or other form -> bookmarks, where the axes can be told.

TID 1400 and 300 of PS3.16, reports of viewers without a template: somewhere in the content tree
stand lengths (NUM, mm or cm), each inferred from a line on an image (SCOORD POLYLINE of 2 points).
Two of one group that are called long and short axis are the axes of a lesion, and so are two on one
image that cross as axes do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING, Final, cast

from plugin.errors import InvalidReport
from plugin.report import authors, codes, crossing, images, sites, tree
from plugin.report.authors import AuthorKind
from plugin.report.drawn import Cross, bookmark
from plugin.report.reading import reading
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from plugin.bookmark import Axis, Bookmark
    from plugin.report.authors import Author
    from plugin.report.reading import Reading
    from plugin.report.source import Source

#: mm in the units in which lengths are written (UCUM).
UNITS: Final = {"mm": 1.0, "cm": 10.0}
#: Lengths of one lesion, the longer first, by the codes of both.
NAMED_PAIRS: Final = (
    (codes.LONG_AXIS, codes.SHORT_AXIS),
    (codes.LONG_AXIS_SRT, codes.SHORT_AXIS_SRT),
    (codes.MAJOR_AXIS, codes.MINOR_AXIS),
    (codes.MAJOR_AXIS_SRT, codes.MINOR_AXIS_SRT),
)


@dataclass(frozen=True)
class _Length:
    """One length that is drawn on an image."""

    #: From the report down to what holds the NUM.
    path: tuple[Dataset, ...]
    #: The NUM.
    item: Dataset
    #: What it is called.
    name: str
    #: mm.
    millimetres: float
    #: The image.
    place: Slice
    #: Ends, (column, row) in pixels from 0.
    axis: Axis

    @property
    def sentence(self) -> str:
        """What it is, for a remark."""
        at = f"on instance {self.place.sop_instance_uid}"
        return f"{self.name} of {self.millimetres:g} mm {at}"


def read(document: Dataset, source: Source) -> Reading:
    """The bookmarks of a report by pairs of lengths; a length without its like gives a remark.

    Raises InvalidReport for a report without drawn lengths, and for one that cannot be understood.
    """
    found = [replace(each, place=source.known(each.place)) for each in _lengths(document)]
    if not found:
        raise InvalidReport(
            "the title is not that of a Measurement Report (TID 1500), and no length is drawn on "
            "an image"
        )
    known = [each for each in found if each.place in source.shown]
    pairs = _named_pairs(known)
    pairs += _crossing_pairs([each for each in known if not _is_in(each, pairs)], source)
    remarks = [f"{each.sentence}: the image is not at hand" for each in found if each not in known]
    remarks += [
        f"{each.sentence} crosses no other as a short axis does"
        for each in known
        if not _is_in(each, pairs)
    ]
    marks = [(_bookmark(pair, source), _author(pair)) for pair in pairs]
    return reading(marks, remarks)


_Pair = tuple[_Length, _Length]


def _is_in(found: _Length, pairs: list[_Pair]) -> bool:
    return any(found is each for pair in pairs for each in pair)


def _named_pairs(lengths: list[_Length]) -> list[_Pair]:
    """Long and short axis of one group on one image, by their names."""
    pairs = []
    for _, group in groupby(lengths, key=lambda each: (id(each.path[-1]), each.place)):
        alike = list(group)
        for long_code, short_code in NAMED_PAIRS:
            long_axes, short_axes = (_called(alike, code) for code in (long_code, short_code))
            if len(long_axes) == len(short_axes) == 1:
                pairs.append((long_axes[0], short_axes[0]))
    return pairs


def _called(lengths: list[_Length], code: Code) -> list[_Length]:
    return [each for each in lengths if tree.is_named(each.item, code)]


def _crossing_pairs(lengths: list[_Length], source: Source) -> list[_Pair]:
    pairs = []
    for place in dict.fromkeys(each.place for each in lengths):
        on_image = [each for each in lengths if each.place == place]
        spacing = source.spacing(place, on_image[0].sentence)
        axes = [each.axis for each in on_image]
        pairs += [(on_image[i], on_image[j]) for i, j in crossing.pairs(axes, spacing)]
    return pairs


def _bookmark(pair: _Pair, source: Source) -> Bookmark:
    long_axis, short_axis = pair
    group = long_axis.path[-1]
    uids = tree.find(group, codes.TRACKING_UID)
    cross = Cross(
        place=long_axis.place,
        long_axis=long_axis.axis,
        short_axis=short_axis.axis,
        lengths_mm=(long_axis.millimetres, short_axis.millimetres),
        box=None,
        lesion_type=sites.of_group(group, long_axis.name),
        tracking_uid=tree.text(uids[0], "Tracking Unique Identifier") if uids else "",
    )
    owner = str(long_axis.path[0].get("SOPInstanceUID", ""))
    return bookmark(cross, source, owner, long_axis.sentence)


def _author(pair: _Pair) -> Author:
    """Of both lengths; a program where either is one's."""
    both = [authors.of_group((*each.path, each.item)) for each in pair]
    return next((each for each in both if each.kind is AuthorKind.DEVICE), both[0])


def _lengths(document: Dataset, *above: Dataset) -> Iterator[_Length]:
    """The drawn lengths below the last content item of a path, in order."""
    path = (document, *above)
    for item in tree.content(path[-1]):
        found = _length(path, item) if item.get("ValueType") == "NUM" else None
        if found is not None:
            yield found
        yield from _lengths(*path, item)


def _length(path: tuple[Dataset, ...], item: Dataset) -> _Length | None:
    """A NUM as a drawn length; None for what is none. Raises InvalidReport for a broken one."""
    name = next((str(c.get("CodeMeaning")) for c in item.get("ConceptNameCodeSequence") or []), "")
    millimetres = _millimetres(item, name)
    lines = [child for child in tree.content(item) if _is_line(child)]
    if millimetres is None or len(lines) != 1:
        return None
    values = [float(value) for value in lines[0].GraphicData]
    if not all(map(isfinite, values)):
        raise InvalidReport(f"{name}: the line from {values} is not drawn in numbers")
    ends = images.from_scoord((values[0], values[1])), images.from_scoord((values[2], values[3]))
    place = Slice(*tree.reference(tree.resolved(path[0], lines[0]), name))
    return _Length(path, item, name, millimetres, place, ends)


def _millimetres(item: Dataset, name: str) -> float | None:
    """The value of a NUM that is a length, mm; None for other units and without a value."""
    for measured in item.get("MeasuredValueSequence") or []:
        units = measured.get("MeasurementUnitsCodeSequence") or []
        factor = UNITS.get(str(units[0].get("CodeValue"))) if units else None
        if factor is not None and measured.get("NumericValue") is not None:
            value = factor * float(cast("float", measured.NumericValue))
            if not isfinite(value) or value < 0:
                raise InvalidReport(f"{name} {value} mm is no length")
            return value
    return None


def _is_line(child: Dataset) -> bool:
    return (
        child.get("ValueType") == "SCOORD"
        and child.get("GraphicType") == "POLYLINE"
        and len(child.get("GraphicData") or []) == 4
    )
