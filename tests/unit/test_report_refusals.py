"""Each way in which an object beside the report can be wrong is refused, and named."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from plugin import Kind
from plugin.errors import InvalidReport
from plugin.report import Findings, products
from plugin.report.products import MADE_AND_CHECKED_BY
from tests.report_cases import (
    Geometry,
    bookmark,
    enhanced,
    findings,
    made,
    received,
    two_lesions,
    volume,
)
from tests.report_mutations import ANNOTATION, MUTATIONS, ORIGIN, SOURCE, Mutation, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset


@cache
def good_objects(kind: Kind, multi_frame: bool = False) -> tuple[list[Dataset], Findings]:
    source = enhanced() if multi_frame else volume(Geometry(spacing=(2.5, 0.6, 0.7)))
    marks = two_lesions(source)
    return [received(sent) for sent in made(source, marks, kind)], findings(source, marks)


def check(kind: Kind, objects: Sequence[Dataset], found: Findings) -> None:
    MADE_AND_CHECKED_BY[kind][1](objects, found)


CASES = [
    (kind, name, mutation, message)
    for kind, mutations in MUTATIONS.items()
    for name, (mutation, message) in (ORIGIN | mutations).items()
]


@pytest.mark.parametrize("kind", MUTATIONS)
@pytest.mark.parametrize("multi_frame", [False, True])
def test_good_objects_pass(kind: Kind, multi_frame: bool) -> None:
    objects, found = good_objects(kind, multi_frame)
    check(kind, objects, found)
    assert objects


@pytest.mark.parametrize(
    ("kind", "mutate", "message"),
    [(kind, mutation, message) for kind, _, mutation, message in CASES],
    ids=[f"{kind}: {name}" for kind, name, _, _ in CASES],
)
def test_a_broken_object_is_refused(kind: Kind, mutate: Mutation, message: str) -> None:
    objects, found = good_objects(kind)
    broken = deepcopy(objects)
    mutate(broken)
    with pytest.raises(InvalidReport, match=message):
        check(kind, broken, found)


FRAMES: dict[Kind, str] = {
    Kind.PRESENTATION_STATE: f"{ANNOTATION}.ReferencedImageSequence.0",
    Kind.KEY_OBJECTS: "ContentSequence.7.ReferencedSOPSequence.0",
    Kind.KEY_IMAGES: "SourceImageSequence.0",
    Kind.SEGMENTATION: f"{SOURCE}.0",
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("frame", [99, 1])
def test_another_frame_is_refused(kind: Kind, frame: int) -> None:
    objects, found = good_objects(kind, multi_frame=True)
    broken = deepcopy(objects)
    put(f"{FRAMES[kind]}.ReferencedFrameNumber", frame)(broken)
    with pytest.raises(InvalidReport, match=r"slice|frame"):
        check(kind, broken, found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"volume_mm3": 99.0}, "Lesion 1: volume is 99.0 mm3, but its voxels make 283"),
        ({"tracking_uid": bookmark(volume(), 2).tracking_uid}, "is not unique"),
        ({"frame_number": 2}, "frame 2 of instance .* is not among those analysed"),
    ],
)
def test_untrue_findings_are_not_sent(changes: dict[str, Any], message: str) -> None:
    source = volume()
    marks = [bookmark(source, 1, **changes), bookmark(source, 2)]
    if "volume_mm3" in changes:
        _, remarks = products(findings(source, marks), {Kind.SEGMENTATION})
        assert len(remarks) == 1
        assert message in remarks[0]
    else:
        with pytest.raises(InvalidReport, match=message):
            products(findings(source, marks), ())
