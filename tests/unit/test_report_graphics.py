from __future__ import annotations

from dataclasses import replace
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset

from plugin import Kind
from plugin.bookmark import LesionType
from plugin.datasets.deeplesion_table import read_table
from plugin.errors import InvalidReport
from plugin.report import AuthorKind, crossing, read
from tests.report_cases import (
    bookmark,
    enhanced,
    made,
    received,
    shared_data,
    two_lesions,
    volume,
)

if TYPE_CHECKING:
    from plugin.volume import Volume

#: Ends of the axes of `bookmark`, from the corner of the first pixel as graphics have them.
LONG, SHORT = [10.5, 20.5, 20.5, 20.5], [15.5, 17.5, 15.5, 23.5]

LENGTHS = ("long_axis_mm", "short_axis_mm")


def graphic(kind: str, data: list[float], units: str = "PIXEL") -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits = units
    item.GraphicDimensions = 2
    item.NumberOfGraphicPoints = len(data) // 2
    item.GraphicData = data
    item.GraphicType = kind
    return item


def annotation(source: Volume, *graphics: Dataset, words: str = "", index: int = 2) -> Dataset:
    item = Dataset()
    image = Dataset()
    image.ReferencedSOPInstanceUID = source.slices[index].sop_instance_uid
    item.ReferencedImageSequence = [image]
    item.GraphicLayer = "LAYER1"
    item.GraphicObjectSequence = list(graphics)
    if words:
        text = Dataset()
        text.UnformattedTextValue = words
        item.TextObjectSequence = [text]
    return item


def state(source: Volume, *annotations: Dataset) -> Dataset:
    """What a viewer stores: nothing of ours but the references."""
    (found,) = made(source, [bookmark(source)], Kind.PRESENTATION_STATE)
    found.Manufacturer, found.ContentCreatorName = "A vendor", "Reader^One"
    found.GraphicAnnotationSequence = list(annotations)
    return received(found)


def cross() -> list[Dataset]:
    return [graphic("POLYLINE", LONG), graphic("POLYLINE", SHORT)]


def test_the_frame_of_a_single_one_may_have_a_number() -> None:
    source = volume()
    drawn = annotation(source, *cross())
    drawn.ReferencedImageSequence[0].ReferencedFrameNumber = 1
    (back,) = read(state(source, drawn), headers=source.headers).bookmarks
    assert (back.sop_instance_uid, back.frame_number) == (source.slices[2].sop_instance_uid, None)


@pytest.mark.parametrize("source", [volume(), enhanced()], ids=["single-frame", "multi-frame"])
def test_ours_reads_back(source: Volume) -> None:
    marks = two_lesions(source)
    (sent,) = made(source, marks, Kind.PRESENTATION_STATE)
    found = read(received(sent), source.slices, source.headers)
    assert found.remarks == ()
    assert [author.kind for author in found.authors] == [AuthorKind.DEVICE] * 2
    unknown: dict[str, Any] = {"score": 1.0, "mean_hu": 0.0, "volume_mm3": 0.0}
    for back, mark in zip(found.bookmarks, marks, strict=True):
        assert isnan(back.mean_hu)
        assert isnan(back.volume_mm3)
        here: dict[str, Any] = {"slice_range": (mark.slice_index, mark.slice_index)}
        lengths: dict[str, Any] = {name: pytest.approx(getattr(mark, name)) for name in LENGTHS}
        assert replace(back, **unknown) == replace(mark, **unknown, **here, **lengths)


@pytest.mark.parametrize("together", [True, False], ids=["one annotation", "one for each line"])
def test_two_crossing_lines_of_a_viewer_are_the_axes(together: bool) -> None:
    source = volume()
    lines = cross()[::-1]
    drawn = [lines] if together else [[line] for line in lines]
    items = [annotation(source, *each, words="Met in liver") for each in drawn]
    found = read(state(source, *items), headers=source.headers[::-1])
    (back,) = found.bookmarks
    mark = bookmark(source)
    assert (back.long_axis, back.short_axis, back.box) == (
        mark.long_axis,
        mark.short_axis,
        mark.box,
    )
    assert (back.long_axis_mm, back.short_axis_mm) == pytest.approx((7.0, 4.2))
    assert (back.sop_instance_uid, back.slice_index) == (mark.sop_instance_uid, 2)
    assert back.lesion_type is LesionType.LIVER
    assert found.by(AuthorKind.PERSON) == found.bookmarks


def test_lines_on_different_images_do_not_cross() -> None:
    source = volume()
    items = [annotation(source, line, index=i) for i, line in enumerate(cross())]
    found = read(state(source, *items), headers=source.headers)
    assert found.bookmarks == ()
    assert [remark.rpartition(": ")[2] for remark in found.remarks] == [
        "a line of 7.0 mm crosses no other as an axis does",
        "a line of 4.2 mm crosses no other as an axis does",
    ]


@pytest.mark.parametrize(
    ("kind", "data", "box"),
    [
        ("ELLIPSE", [8.5, 20.5, 22.5, 20.5, 15.5, 16.5, 15.5, 24.5], (8, 16, 22, 24)),
        ("CIRCLE", [15.5, 20.5, 15.5, 26.5], (9, 14, 21, 26)),
        ("POLYLINE", [9.5, 15.5, 21.5, 15.5, 21.5, 25.5, 9.5, 25.5, 9.5, 15.5], (9, 15, 21, 25)),
    ],
)
def test_a_shape_around_the_axes_is_the_box(
    kind: str, data: list[float], box: tuple[float, ...]
) -> None:
    source = volume()
    item = annotation(source, *cross(), graphic(kind, data))
    found = read(state(source, item), headers=source.headers)
    assert (found.bookmarks[0].box, found.remarks) == (box, ())


def test_what_has_no_axes_is_named() -> None:
    source = volume()
    item = annotation(
        source, graphic("POINT", [5.0, 5.0]), graphic("CIRCLE", [15.5, 20.5, 15.5, 26.5])
    )
    found = read(state(source, item, annotation(source, words="see here")), headers=source.headers)
    assert found.bookmarks == ()
    where = f"instance {source.slices[2].sop_instance_uid}"
    assert found.remarks == (
        "annotation 2: words without graphics",
        f"{where}: POINT of 1 points has no axes",
        f"{where}: CIRCLE of 2 points has no axes",
    )


def on_display(source: Volume) -> Dataset:
    rows, columns = source.hu.shape[1:]
    lines = [
        graphic("POLYLINE", [v / (rows if i % 2 else columns) for i, v in enumerate(d)], "DISPLAY")
        for d in (LONG, SHORT)
    ]
    return state(source, annotation(source, *lines))


def test_the_display_is_undone_where_it_shows_the_whole_image() -> None:
    source = volume()
    (back,) = read(on_display(source), headers=source.headers).bookmarks
    mark = bookmark(source)
    assert [*back.long_axis[0], *back.long_axis[1]] == pytest.approx(
        [*mark.long_axis[0], *mark.long_axis[1]], abs=1e-4
    )


@pytest.mark.parametrize(
    ("keyword", "value"), [("ImageRotation", 90), ("ImageHorizontalFlip", "Y")]
)
def test_a_turned_display_is_not_undone(keyword: str, value: Any) -> None:
    source = volume()
    turned = on_display(source)
    setattr(turned, keyword, value)
    found = read(turned, headers=source.headers)
    assert found.bookmarks == ()
    assert "annotation 1, graphic 1: is drawn on the display, not on the image" in found.remarks


def test_an_image_that_is_not_at_hand_is_named() -> None:
    source = volume()
    found = read(state(source, annotation(source, *cross())), headers=source.headers[:1])
    uid = source.slices[2].sop_instance_uid
    assert found.remarks == (f"instance {uid} with graphics is not at hand",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1.0, 2.0, 3.0], "annotation 1, graphic 1: POLYLINE has no points"),
        ([1.0, 2.0, nan, 4.0], "annotation 1, graphic 1: POLYLINE has no points"),
        ([50.5, 20.5, 75.5, 20.5], "the lines leave their image of 60 x 40 pixels"),
    ],
    ids=["half a point", "not a number", "outside"],
)
def test_broken_graphics_are_refused_by_name(data: list[float], message: str) -> None:
    source = volume()
    lines = [graphic("POLYLINE", data), graphic("POLYLINE", [57.5, 16.5, 57.5, 24.5])]
    with pytest.raises(InvalidReport, match=message):
        read(state(source, annotation(source, *lines)), headers=source.headers)


SQUARE = (1.0, 1.0)
ALONG, UPRIGHT = ((0.0, 0.0), (10.0, 0.0)), ((5.0, -3.0), (5.0, 3.0))


@pytest.mark.parametrize(
    ("other", "spacing", "together"),
    [
        (UPRIGHT, SQUARE, True),
        (((4.0, -3.0), (6.0, 3.0)), SQUARE, True),  # 18 degrees off
        (((3.0, -3.0), (7.0, 3.0)), SQUARE, False),  # 34 degrees off
        (((4.0, -2.0), (6.0, 2.0)), (2.0, 1.0), True),  # 27 degrees off, in mm 14
        (((0.0, -3.0), (0.0, 3.0)), SQUARE, False),  # the cap of a ruler
        (((5.0, 1.0), (5.0, 7.0)), SQUARE, False),  # passes by
        (ALONG, SQUARE, False),
        (((5.0, 0.0), (5.0, 0.0)), SQUARE, False),
    ],
    ids=["crossing", "18", "34", "in mm", "cap", "beside", "the same", "no length"],
)
def test_axes_cross_inside_at_nearly_a_right_angle(
    other: Any, spacing: tuple[float, float], together: bool
) -> None:
    assert crossing.pairs([other, ALONG], spacing) == ([(1, 0)] if together else [])


def test_the_longer_one_in_mm_is_the_long_axis() -> None:
    assert crossing.pairs([ALONG, UPRIGHT], (2.0, 1.0)) == [(1, 0)]


def test_a_line_is_in_one_pair_only_the_one_nearest_to_a_right_angle() -> None:
    slanted = ((4.0, -3.0), (6.0, 3.0))
    assert crossing.pairs([slanted, ALONG, UPRIGHT], SQUARE) == [(1, 2)]


def test_nearly_all_axes_that_radiologists_drew_cross() -> None:
    rows = read_table(shared_data("deeplesion", "annotations", "DL_info_test_split.csv"))
    lines = [([row.long_axis, row.short_axis], row.spacing) for row in rows]
    crossing_ones = [crossing.pairs(axes, (row, column)) for axes, (column, row, _) in lines]
    assert sum(map(len, crossing_ones)) == len(rows) - 40
