from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin.bookmark import LesionType
from plugin.errors import InvalidReport
from plugin.report import Author, AuthorKind, Reading, codes, images, read, tree
from plugin.report.groups import TRACKING_PREFIX
from plugin.uids import derive
from tests.report_cases import Geometry, bookmark, encoded, enhanced, volume

if TYPE_CHECKING:
    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

TILTED = Geometry(shear=0.6)
SAGITTAL = Geometry(orientation=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)), spacing=(1.0, 0.5, 0.8))

#: Our own report says which program made it.
OURS = Author(AuthorKind.DEVICE, "test-detector", "lesionmark test-detector")


@pytest.mark.parametrize(
    "source",
    [volume(), volume(TILTED), volume(SAGITTAL)],
    ids=["axial", "tilted gantry", "sagittal, anisotropic"],
)
def test_a_round_trip_is_equal(source: Volume) -> None:
    marks = (bookmark(source, 1), bookmark(source, 2, lesion_type=LesionType.LIVER))
    assert read(encoded(source, marks)) == Reading(marks, (), (OURS, OURS))


def test_a_round_trip_of_a_multi_frame_instance_is_equal() -> None:
    source = enhanced()
    marks = (bookmark(source),)
    assert read(encoded(source, marks), source.slices) == Reading(marks, (), (OURS,))


def test_a_round_trip_keeps_what_is_written() -> None:
    source = volume()
    mark = bookmark(source, score=0.123456, long_axis_mm=7.0049, mean_hu=-3.14, volume_mm3=9.87)
    (back,) = read(encoded(source, [mark])).bookmarks
    expected = replace(mark, score=0.1235, long_axis_mm=7.0, mean_hu=-3.1, volume_mm3=9.9)
    assert back == expected


def test_an_empty_report_has_no_bookmarks() -> None:
    assert read(encoded(volume(), [])) == Reading((), (), ())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    spacing=st.tuples(*[st.floats(0.2, 5.0)] * 3),
    shear=st.floats(-2, 2),
    turned=st.booleans(),
    downwards=st.booleans(),
    corner=st.tuples(st.integers(0, 40), st.integers(0, 20)),
    reach=st.tuples(st.integers(5, 19), st.integers(5, 19)),
)
def test_points_map_back_and_lengths_agree(
    spacing: tuple[float, float, float],
    shear: float,
    turned: bool,
    downwards: bool,
    corner: tuple[int, int],
    reach: tuple[int, int],
) -> None:
    plane = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)) if turned else ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    source = volume(Geometry(spacing=spacing, orientation=plane, shear=shear))
    if downwards:
        source = replace(source, headers=source.headers[::-1])
    mark = _cross(source, corner, reach)
    (back,) = read(encoded(source, [mark])).bookmarks
    assert (back.long_axis, back.short_axis, back.box) == (
        mark.long_axis,
        mark.short_axis,
        mark.box,
    )
    assert back.slice_index == mark.slice_index
    for axis, length in (
        (back.long_axis, back.long_axis_mm),
        (back.short_axis, back.short_axis_mm),
    ):
        ends = [source.affine @ (back.slice_index, row, column, 1.0) for column, row in axis]
        assert math.dist(*ends) == pytest.approx(length, abs=0.01)


def _cross(source: Volume, corner: tuple[int, int], reach: tuple[int, int]) -> Bookmark:
    """A lesion as wide and as high as `reach`, its axes along rows and columns."""
    (left, top), (width, height) = corner, reach
    _, down, across = source.spacing
    middle = left + width / 2, top + height / 2
    along = ((float(left), middle[1]), (float(left + width), middle[1])), width * across
    upright = ((middle[0], float(top)), (middle[0], float(top + height))), height * down
    (short_axis, short_mm), (long_axis, long_mm) = sorted(
        (along, upright), key=lambda each: each[1]
    )
    return bookmark(
        source,
        long_axis=long_axis,
        short_axis=short_axis,
        long_axis_mm=long_mm,
        short_axis_mm=short_mm,
        box=(float(left), float(top), float(left + width), float(top + height)),
    )


def foreign_report(source: Volume, **changes: Any) -> Dataset:
    """A report as Cornerstone3D writes it: the points of each axis under the other's name."""
    document = encoded(source, [bookmark(source)])
    (group,) = tree.lesion_groups(document)
    kept = (codes.TRACKING_UID, codes.FINDING, codes.LONG_AXIS, codes.SHORT_AXIS)
    group.ContentSequence = [
        item for item in group.ContentSequence if any(tree.is_named(item, code) for code in kept)
    ]
    long_item, short_item = (tree.one(group, code, "lesion") for code in kept[2:])
    points = tree.content(long_item)[0].GraphicData, tree.content(short_item)[0].GraphicData
    tree.content(long_item)[0].GraphicData, tree.content(short_item)[0].GraphicData = points[::-1]
    if changes.get("older"):
        long_item.ConceptNameCodeSequence = [codes.item(codes.LONG_AXIS_SRT)]
        short_item.ConceptNameCodeSequence = [codes.item(codes.SHORT_AXIS_SRT)]
    return document


@pytest.mark.parametrize("older", [False, True], ids=["SCT codes", "SRT codes"])
def test_a_viewers_report_gives_its_axes(older: bool) -> None:
    source = volume()
    (back,) = read(foreign_report(source, older=older), source.slices).bookmarks
    mark = bookmark(source)
    assert (back.long_axis, back.short_axis) == (mark.long_axis, mark.short_axis)
    assert (back.long_axis_mm, back.short_axis_mm) == (mark.long_axis_mm, mark.short_axis_mm)
    assert back.box == mark.box
    assert (back.score, back.lesion_type) == (1.0, LesionType.SOFT_TISSUE)
    assert math.isnan(back.mean_hu)
    assert math.isnan(back.volume_mm3)
    assert back.slice_range == (back.slice_index, back.slice_index)


def test_other_measurements_are_named() -> None:
    source = volume()
    document = encoded(source, [bookmark(source, 1), bookmark(source, 2)])
    first = tree.lesion_groups(document)[0]
    for code in (codes.LONG_AXIS, codes.SHORT_AXIS):
        tree.one(first, code, "lesion").ConceptNameCodeSequence[0].CodeValue = "410668003"
    found = read(document)
    assert [mark.tracking_uid for mark in found.bookmarks] == [derive("test lesion", "2")]
    assert found.remarks == (
        f"Lesion 1 ({TRACKING_PREFIX}Lesion 1) has no diameters to draw, but Long Axis, "
        "Short Axis, Certainty of Finding, Attenuation Coefficient, Volume",
    )


def test_a_site_is_known_by_its_name_too() -> None:
    source = volume()
    document = encoded(source, [bookmark(source)])
    site = tree.coded(tree.one(group_of(document), codes.FINDING_SITE, "lesion"), "site")
    site.CodeValue, site.CodingSchemeDesignator, site.CodeMeaning = "T-62000", "SRT", "Liver"
    assert read(document).bookmarks[0].lesion_type is LesionType.LIVER


def group_of(document: Dataset) -> Dataset:
    return tree.lesion_groups(document)[0]


def drop(code: Any) -> Any:
    def mutate(group: Dataset) -> None:
        group.ContentSequence = [i for i in group.ContentSequence if not tree.is_named(i, code)]

    return mutate


def shape_of(group: Dataset, code: Any) -> Dataset:
    return tree.content(tree.one(group, code, "lesion"))[0]


@pytest.mark.parametrize(
    ("mutate", "message"),
    [
        (drop(codes.SHORT_AXIS), "Lesion 1 has no Short Axis"),
        (drop(codes.TRACKING_UID), "Lesion 1 has no Tracking Unique Identifier"),
        (
            lambda g: setattr(shape_of(g, codes.LONG_AXIS), "ValueType", "SCOORD3D"),
            "Long Axis has no SCOORD",
        ),
        (
            lambda g: setattr(shape_of(g, codes.SHORT_AXIS), "GraphicData", [1.0, 2.0]),
            "Short Axis is not drawn",
        ),
        (
            lambda g: delattr(tree.one(g, codes.LONG_AXIS, "lesion"), "MeasuredValueSequence"),
            "Long Axis has no numeric value",
        ),
        (
            lambda g: setattr(shape_of(g, codes.LONG_AXIS), "ContentSequence", []),
            "Long Axis refers to no image",
        ),
    ],
)
def test_a_malformed_report_names_the_item(mutate: Any, message: str) -> None:
    source = volume()
    document = encoded(source, [bookmark(source)])
    mutate(tree.lesion_groups(document)[0])
    with pytest.raises(InvalidReport, match=message):
        read(document)


def test_an_image_is_no_report() -> None:
    with pytest.raises(InvalidReport, match="no structured report"):
        read(volume().headers[0])


def test_another_kind_of_report_is_refused() -> None:
    document = encoded(volume(), [])
    document.ConceptNameCodeSequence[0].CodeValue = "113701"  # a radiation dose report
    with pytest.raises(InvalidReport, match="title is not that of a Measurement Report"):
        read(document)


def test_an_axis_outside_the_volume_is_refused() -> None:
    source = volume()
    document = encoded(source, [bookmark(source)])
    with pytest.raises(InvalidReport, match="is not among the slices"):
        read(document, source.slices[:1])


def test_scoord_starts_half_a_pixel_earlier() -> None:
    assert images.to_scoord((0.0, 3.0)) == (0.5, 3.5)
    assert images.from_scoord(images.to_scoord((1.25, 7.5))) == (1.25, 7.5)
