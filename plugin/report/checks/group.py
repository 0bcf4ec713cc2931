"""The rules that one lesion of a report has to keep."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, cast

from plugin.errors import InvalidReport
from plugin.measure import length
from plugin.report import codes, images, tree
from plugin.report.checks.common import check_inside
from plugin.volume import Slice

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from plugin.bookmark import Axis
    from plugin.report.images import KeyImage
    from plugin.volume import Volume

#: Most that a length may differ from the distance of its points, mm.
LENGTH_TOLERANCE_MM = 0.01
#: Most that a length in the label, which has one decimal, may differ from the one drawn, mm.
LABEL_TOLERANCE_MM = 0.05 + LENGTH_TOLERANCE_MM
#: Both lengths as `text.size` writes them.
SIZE = re.compile(r"(\d+\.\d) x (\d+\.\d) mm")


def check_group(group: Dataset, where: str, volume: Volume) -> None:
    """Check one Measurement Group (TID 1501); `where` names the lesion in messages."""
    _check_items(group, where)
    long_axis, short_axis = _axes(group, where)
    long_mm = _check_length(long_axis, f"{where}: Long Axis", volume)
    short_mm = _check_length(short_axis, f"{where}: Short Axis", volume)
    if short_mm > long_mm:
        raise InvalidReport(f"{where}: Short Axis is longer than the Long Axis")
    certainty = tree.one(group, codes.CERTAINTY, where)
    _check_certainty(certainty, f"{where}: Certainty of Finding", volume)
    _check_one_image([long_axis, short_axis, certainty], where)
    _check_statistics(group, where)
    _check_label(group, (long_mm, short_mm), where)


def _check_items(group: Dataset, where: str) -> None:
    """What is not a number: names, what it is and where it lies."""
    for code in (codes.TRACKING_IDENTIFIER, codes.TRACKING_UID):
        tree.text(tree.one(group, code, where), f"{where}: {code.meaning}")
    for code in (codes.FINDING, codes.FINDING_SITE):
        tree.coded(tree.one(group, code, where), f"{where}: {code.meaning}")


def _axes(group: Dataset, where: str) -> tuple[Dataset, Dataset]:
    """The first two NUM of the group, which viewers take as long and short axis by meaning."""
    numbers = [item for item in tree.content(group) if item.get("ValueType") == "NUM"]
    axes = (codes.LONG_AXIS, codes.SHORT_AXIS)
    for place, code in enumerate(axes):
        if len(numbers) <= place or not _is_spelled(numbers[place], code):
            raise InvalidReport(f'{where}: NUM {place + 1} is not "{code.meaning}" ({code.value})')
    return numbers[0], numbers[1]


def _is_spelled(item: Dataset, code: Code) -> bool:
    """Whether the concept name is `code`, with its meaning letter for letter."""
    return tree.is_named(item, code) and all(
        name.get("CodeMeaning") == code.meaning for name in item.ConceptNameCodeSequence
    )


def _check_length(axis: Dataset, where: str, volume: Volume) -> float:
    """Check that an axis is as long as its points say, and return its length in mm."""
    written = _finite(axis, codes.MILLIMETRE, where)
    ends = tree.points(axis, 2, where)
    image = _image(axis, where, volume)
    check_inside(ends, image, where)
    drawn = length(cast("Axis", ends), *image.pixel_spacing)
    if abs(written - drawn) > LENGTH_TOLERANCE_MM:
        raise InvalidReport(f"{where} is {written} mm, but its points are {drawn:.2f} mm apart")
    return written


def _check_certainty(item: Dataset, where: str, volume: Volume) -> None:
    if not 0 <= _finite(item, codes.PERCENT, where) <= 100:
        raise InvalidReport(f"{where} is not between 0 and 100 %")
    corners = tree.points(item, 5, where)
    if corners[0] != corners[-1]:
        raise InvalidReport(f"{where}: the box is not closed")
    check_inside(corners, _image(item, where, volume), where)


def _check_statistics(group: Dataset, where: str) -> None:
    attenuation = tree.one(group, codes.ATTENUATION, where)
    _finite(attenuation, codes.HOUNSFIELD, f"{where}: Attenuation Coefficient")
    volume = tree.one(group, codes.VOLUME, where)
    if _finite(volume, codes.CUBIC_MILLIMETRE, f"{where}: Volume") < 0:
        raise InvalidReport(f"{where}: Volume is negative")


def _check_label(group: Dataset, lengths: tuple[float, float], where: str) -> None:
    """The label that viewers show says the lengths that they draw."""
    label = tree.text(tree.one(group, codes.COMMENT, where), f"{where}: Comment")
    said = SIZE.search(label)
    if said is None or any(
        abs(float(words) - length) > LABEL_TOLERANCE_MM
        for words, length in zip(said.groups(), lengths, strict=True)
    ):
        raise InvalidReport(f'{where}: Comment "{label}" does not say both lengths')


def _check_one_image(items: list[Dataset], where: str) -> None:
    if len({tree.reference(tree.content(item)[0], where) for item in items}) > 1:
        raise InvalidReport(f"{where}: axes and box do not lie in one image")


def _image(item: Dataset, where: str, volume: Volume) -> KeyImage:
    return images.image_of(volume, Slice(*tree.reference(tree.content(item)[0], where)))


def _finite(item: Dataset, unit: Code, where: str) -> float:
    value = tree.number(item, unit, where)
    if not math.isfinite(value):
        raise InvalidReport(f"{where} is not a number")
    return value
