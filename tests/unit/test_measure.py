from __future__ import annotations

from math import cos, pi, radians, sin
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plugin.measure import box, diameters, largest_region, length, measure, outline
from plugin.volume import Slice, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.bookmark import Axis

SPACINGS = [(1.0, 1.0), (0.7, 0.7), (0.5, 0.9), (1.2, 0.6)]


def ellipse(
    long_mm: float, short_mm: float, angle: float, row_mm: float, column_mm: float
) -> NDArray[np.bool_]:
    """An ellipse in the middle of a slice, its long axis turned from the rows by an angle."""
    rows, columns = np.mgrid[:101, :101]
    x, y = (columns - 50.3) * column_mm, (rows - 49.6) * row_mm
    u = x * cos(radians(angle)) + y * sin(radians(angle))
    v = y * cos(radians(angle)) - x * sin(radians(angle))
    return np.asarray((2 * u / long_mm) ** 2 + (2 * v / short_mm) ** 2 <= 1)


def direction(axis: Axis, row_mm: float, column_mm: float) -> NDArray[np.float64]:
    (column0, row0), (column1, row1) = axis
    along = np.array([(column1 - column0) * column_mm, (row1 - row0) * row_mm])
    return np.asarray(along / np.linalg.norm(along))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90, 135])
@pytest.mark.parametrize(("long_mm", "short_mm"), [(30, 20), (24, 16), (12, 8), (40, 22)])
def test_ellipses_measure_what_they_are(
    spacing: tuple[float, float], angle: float, long_mm: float, short_mm: float
) -> None:
    found = diameters(ellipse(long_mm, short_mm, angle, *spacing), *spacing)

    # The edge of a mask is known to half a pixel at each end.
    assert found.long_axis_mm == pytest.approx(long_mm, abs=max(spacing))
    assert found.short_axis_mm == pytest.approx(short_mm, abs=max(spacing))
    expected = (cos(radians(angle)), sin(radians(angle)))
    # A long axis that is a little longer than another one may lean towards it.
    assert abs(direction(found.long_axis, *spacing) @ expected) > cos(radians(20))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_discs_measure_their_diameter_within_half_a_pixel_on_average(
    spacing: tuple[float, float],
) -> None:
    sizes = np.linspace(6, 30, 35)
    found = [diameters(ellipse(mm, mm, 0, *spacing), *spacing) for mm in sizes]

    errors = np.array([d.long_axis_mm for d in found]) - sizes
    across = np.array([d.short_axis_mm for d in found]) - sizes
    assert abs(errors.mean()) < max(spacing) / 2
    assert abs(across.mean()) < max(spacing) / 2


@settings(deadline=None, max_examples=150)
@given(
    arrays(bool, (9, 11)).filter(lambda mask: bool(mask.any())),
    st.sampled_from(SPACINGS),
)
def test_any_mask_has_two_axes_that_cross_at_right_angles(
    mask: NDArray[np.bool_], spacing: tuple[float, float]
) -> None:
    region = largest_region(mask)

    found = diameters(region, *spacing)

    assert found.long_axis_mm == length(found.long_axis, *spacing)
    assert found.short_axis_mm == length(found.short_axis, *spacing)
    assert 0 < found.short_axis_mm <= found.long_axis_mm + 1e-9
    along, across = (direction(a, *spacing) for a in (found.long_axis, found.short_axis))
    assert abs(along @ across) < 1e-6
    assert crosses(found.long_axis, found.short_axis, spacing)
    edge = outline(region).reshape(-1, 2)
    for end in found.long_axis:
        assert np.abs(edge - end).sum(axis=1).min() < 1e-9


def crosses(long_axis: Axis, short_axis: Axis, spacing: tuple[float, float]) -> bool:
    """Whether the short axis starts on one side of the long axis and ends on the other."""
    scale = np.array(spacing[::-1])
    start, end = (np.array(point) * scale for point in long_axis)
    normal = np.array([-(end - start)[1], (end - start)[0]])
    sides = [(np.array(point) * scale - start) @ normal for point in short_axis]
    return bool(min(sides) <= 1e-6 and max(sides) >= -1e-6)


def test_the_long_axis_ends_at_the_edge_of_the_outermost_pixels() -> None:
    mask = np.zeros((9, 20), bool)
    mask[3:7, 2:18] = True

    found = diameters(mask, 1.0, 1.0)

    assert found.long_axis_mm == pytest.approx(np.hypot(16, 4), abs=0.6)
    assert found.short_axis_mm == pytest.approx(4 / cos(np.arctan(4 / 16)), abs=0.4)
    assert box(mask) == (2.0, 3.0, 17.0, 6.0)


@pytest.mark.parametrize("pixels", [[(4, 4)], [(4, 4), (4, 5)], [(3, 3), (4, 4)]])
def test_a_lesion_of_one_or_two_pixels_can_be_measured(pixels: list[tuple[int, int]]) -> None:
    mask = np.zeros((9, 9), bool)
    mask[tuple(zip(*pixels, strict=True))] = True

    found = diameters(mask, 0.7, 0.7)

    assert 0.3 < found.short_axis_mm <= found.long_axis_mm < 0.7 * len(pixels) + 0.8


def test_a_short_axis_that_would_not_cross_is_not_taken() -> None:
    """A thin bow: its knob is thick, but lies beside the line from end to end."""
    columns = np.arange(10, 91)
    bow = np.zeros((80, 101), bool)
    for column, row in zip(columns, 60 - np.minimum(columns - 10, 90 - columns) // 2, strict=True):
        bow[row - 1 : row + 1, column] = True
    bow[34:46, 44:57] = True

    found = diameters(bow, 1.0, 1.0)

    assert found.long_axis_mm == pytest.approx(80, abs=1.5)
    assert crosses(found.long_axis, found.short_axis, (1.0, 1.0))
    assert found.short_axis_mm < 6


def ball(
    diameter: float, spacing: tuple[float, float, float], shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    grid = np.indices(shape).T
    middle = np.array([n // 2 for n in shape])
    return np.asarray(np.linalg.norm((grid - middle) * spacing, axis=-1) <= diameter / 2).T


def volume_of(hu: NDArray[np.float32], spacing: tuple[float, float, float]) -> Volume:
    z, y, x = spacing
    affine = np.array([[0, 0, x, 0], [0, y, 0, 0], [z, 0, 0, 0], [0, 0, 0, 1]], float)
    return Volume(hu, affine, tuple(Slice(str(k), None) for k in range(len(hu))), ())


def test_a_ball_is_measured_in_its_middle_slice() -> None:
    spacing = (2.5, 0.8, 0.8)
    mask = ball(20, spacing, (11, 41, 41))
    hu = np.full((30, 80, 80), -850, np.float32)
    hu[9:20, 20:61, 10:51][mask] = 40

    found = measure(mask, (9, 20, 10), volume_of(hu, spacing))

    assert found.slice_index == 9 + 5
    assert found.slice_range == (9 + 1, 9 + 9)
    assert found.diameters.long_axis_mm == pytest.approx(20, abs=0.8)
    assert found.box == pytest.approx((10 + 8, 20 + 8, 10 + 32, 20 + 32))
    assert np.mean(found.diameters.long_axis, axis=0) == pytest.approx((30, 40), abs=1)
    assert np.mean(found.diameters.short_axis, axis=0) == pytest.approx((30, 40), abs=1)
    assert found.mean_hu == 40
    assert found.volume_mm3 == pytest.approx(pi / 6 * 20**3, rel=0.03)


@pytest.mark.parametrize("diameter", [5.0, 8.0, 20.0])
def test_the_mean_attenuation_is_that_of_the_inside(diameter: float) -> None:
    spacing = (2.5, 0.8, 0.8)
    shape, centre = (15, 60, 60), (7, 30, 30)
    away = np.linalg.norm((np.indices(shape).T - centre) * spacing, axis=-1).T
    # The edge is as soft as a scanner's: from 40 to -850 HU within 2 mm.
    hu = (-850 + 890 * (0.5 + (diameter / 2 - away) / 2).clip(0, 1)).astype(np.float32)
    found = measure(away <= diameter / 2 + 0.5, (0, 0, 0), volume_of(hu, spacing))
    assert hu[away <= diameter / 2 + 0.5].mean() < -50
    assert found.mean_hu == pytest.approx(40, abs=90 if diameter < 6 else 25)


def test_a_lesion_of_one_voxel_has_its_attenuation() -> None:
    mask = np.ones((1, 1, 1), bool)
    hu = np.full((3, 9, 9), -850, np.float32)
    hu[1, 4, 4] = 40
    assert measure(mask, (1, 4, 4), volume_of(hu, (1.0, 1.0, 1.0))).mean_hu == 40


def test_the_key_slice_has_the_longest_axis_of_one_region() -> None:
    mask = np.zeros((3, 30, 60), bool)
    mask[0, 10:20, 10:20] = True
    mask[1, 10:20, 5:25] = True
    # Two regions far apart are wide together; each of them is not.
    mask[2, 10:20, 0:10] = True
    mask[2, 10:20, 50:60] = True

    found = measure(mask, (0, 0, 0), volume_of(np.zeros(mask.shape, np.float32), (1, 1, 1)))

    assert found.slice_index == 1
    assert found.box == (5.0, 10.0, 24.0, 19.0)
    assert found.slice_range == (0, 2)
