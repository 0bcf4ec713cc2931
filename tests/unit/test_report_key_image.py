from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from plugin import report
from plugin.bookmark import LesionType
from plugin.report import draw
from plugin.report.key_image import (
    LONG_AXIS_COLOUR,
    LUNG_WINDOW,
    SHORT_AXIS_COLOUR,
    TEXT_COLOUR,
    apply_window,
    beside,
)
from tests.report_cases import Geometry, bookmark, volume

SQUARE = Geometry(shape=(3, 512, 512))


def pixels_of(picture: Image.Image, colour: tuple[int, int, int]) -> set[tuple[int, int]]:
    """(column, row) of every pixel of exactly that colour."""
    rows, columns = np.nonzero((np.asarray(picture) == colour).all(axis=-1))
    return set(zip(columns.tolist(), rows.tolist(), strict=True))


def middle_row(points: set[tuple[int, int]]) -> float:
    return float(np.mean([row for _, row in points]))


def test_a_slice_of_512_pixels_is_not_resampled() -> None:
    source = volume(SQUARE)
    hu = np.random.default_rng(1).uniform(-1000, 200, SQUARE.shape).astype(np.float32)
    source = replace(source, hu=hu)
    picture = np.asarray(draw(source, bookmark(source)))
    expected = apply_window(hu[1], LUNG_WINDOW)
    free = (slice(100, 450), slice(200, 512))  # no line and no letter lies here
    assert picture.shape == (512, 512, 3)
    assert (picture[free] == expected[free][..., None]).all()


@pytest.mark.parametrize("scale", [1, 2])
def test_the_diameters_lie_where_they_were_measured(scale: int) -> None:
    source = volume(SQUARE)
    mark = bookmark(
        source,
        long_axis=((100.0, 200.0), (300.0, 200.0)),
        short_axis=((150.0, 120.0), (150.0, 280.0)),
        box=(100.0, 120.0, 300.0, 280.0),
    )
    picture = draw(source, mark, scale=scale)
    across, upright = (pixels_of(picture, c) for c in (LONG_AXIS_COLOUR, SHORT_AXIS_COLOUR))
    assert picture.size == (512 * scale, 512 * scale)
    assert middle_row(across) == pytest.approx((200.5 * scale) - 0.5, abs=1)
    for column in range(105 * scale, 295 * scale):
        assert any((column, row) in across for row in range(196 * scale, 205 * scale))
    middle = np.mean([column for column, _ in upright])
    assert middle == pytest.approx((150.5 * scale) - 0.5, abs=1)
    assert min(column for column, _ in across) == pytest.approx(100 * scale, abs=3 * scale)
    assert min(row for _, row in upright) == pytest.approx(120 * scale, abs=3 * scale)
    assert max(row for _, row in upright) == pytest.approx(280 * scale, abs=3 * scale)


def test_pixels_that_are_not_square_are_shown_in_proportion() -> None:
    source = volume(Geometry(shape=(3, 200, 600), spacing=(1, 1.5, 0.5)))
    mark = bookmark(source, long_axis=((100.0, 100.0), (100.0, 160.0)))
    picture = draw(source, mark)
    assert picture.size == (600, 600)
    line = pixels_of(picture, LONG_AXIS_COLOUR)
    assert max(row for _, row in line) - min(row for _, row in line) == pytest.approx(180, abs=6)


def test_a_small_slice_is_enlarged_by_a_whole_number() -> None:
    source = volume(Geometry(shape=(3, 100, 120)))
    assert draw(source, bookmark(source)).size == (720, 600)


@pytest.mark.parametrize(
    ("lesion_type", "grey"),
    [(LesionType.LUNG, 236), (LesionType.LIVER, 128), (LesionType.BONE, 69)],
)
def test_the_window_fits_the_lesion(lesion_type: LesionType, grey: int) -> None:
    source = volume(SQUARE)
    source = replace(source, hu=np.full(SQUARE.shape, 40, np.float32))
    picture = np.asarray(draw(source, bookmark(source, lesion_type=lesion_type)))
    assert picture[300, 300].tolist() == pytest.approx([grey] * 3, abs=1)


def test_the_label_and_the_notice_are_written() -> None:
    source = volume(SQUARE)
    letters = pixels_of(draw(source, bookmark(source)), TEXT_COLOUR)
    assert sum(row < 100 and column > 21 for column, row in letters) > 200
    assert sum(row > 480 for _, row in letters) > 200


@pytest.mark.parametrize(
    ("box", "corner"),
    [
        ((10.0, 50.0, 30.0, 70.0), (31.25, 48.75)),
        ((70.0, 50.0, 90.0, 70.0), (28.75, 48.75)),
        ((10.0, 95.0, 30.0, 99.0), (31.25, 80.0)),
        ((2.0, 0.0, 98.0, 99.0), (0.0, 0.0)),
    ],
    ids=["right", "left where the right has no room", "higher at the lower edge", "no room at all"],
)
def test_the_label_leaves_the_lesion_free(
    box: tuple[float, float, float, float], corner: tuple[float, float]
) -> None:
    assert beside(box, (40.0, 20.0), (100, 100)) == corner


def test_a_picture_for_people_shows_the_same_and_says_so() -> None:
    source = volume(SQUARE)
    mark = bookmark(source)
    made = report.picture(source, mark, 3)
    with Image.open(BytesIO(made.png)) as shown:
        assert shown.format == "PNG"
        assert (np.asarray(shown) == np.asarray(draw(source, mark, number=3))).all()
    assert made.text.startswith("Image 2: lesion 3, lung, ")
    assert f"{mark.long_axis_mm:.1f} x {mark.short_axis_mm:.1f} mm" in made.text
