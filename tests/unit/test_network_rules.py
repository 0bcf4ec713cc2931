"""The learned detector around its network: outlines, merging of passes, the shipped weights."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from plugin.detector.checkpoint import DamagedWeights, Weights, read, write
from plugin.detector.closeup import CloseUp, View, lattice_of
from plugin.detector.device import Room
from plugin.detector.lattice import Lattice
from plugin.detector.learned import Found, best, calibrated, merge, spacing
from plugin.detector.network import Architecture, Maps, Network
from plugin.detector.outline import outline, tails
from plugin.detector.response import OVERLAP, Candidate, respond
from plugin.measure import Measurement, measure
from plugin.volume import Slice, Volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SMALL = Architecture(channels=(8, 8, 16, 16), blocks=(1, 1, 1, 1))


def _volume(shape: tuple[int, int, int] = (20, 60, 60), spacing: float = 0.7) -> Volume:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = (2.5, spacing, spacing)
    affine[3, 3] = 1.0
    slices = tuple(Slice(str(i), None) for i in range(shape[0]))
    return Volume(np.full(shape, -850.0, np.float32), affine, slices, ())


VIEW = View((24.0, 20.0, 22.0), (10.0, 10.0))


def _closeup(
    volume: Volume, inside: Callable[[NDArray[np.float64]], NDArray[np.float64]], view: View = VIEW
) -> CloseUp:
    """A close-up with a map of insides given places [..., 3] in mm (z, y, x) from the centre."""
    grid = lattice_of(view, volume)
    places = grid.to_mm(np.stack(np.indices(grid.shape), axis=-1).astype(float)) - view.centre
    return CloseUp(grid, inside(places).astype(np.float32))


def _ball(diameter: float, at: float = 0.0, blurred: float = 2.0) -> Callable[..., np.ndarray]:
    """Falls from 1 to 0 within some mm around the surface of a ball `at` mm along x."""

    def inside(places: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(places - (0.0, 0.0, at), axis=-1)
        return np.asarray((0.5 + (diameter / 2 - away) / blurred).clip(0, 1))

    return inside


def _outlined(closeup: CloseUp, volume: Volume, view: View = VIEW) -> Measurement:
    piece = outline(view, closeup, volume)
    assert piece is not None
    return measure(piece.mask, piece.offset, volume)


@pytest.mark.parametrize("diameter", [6.0, 10.0, 20.0])
def test_an_outline_measures_what_the_map_shows(diameter: float) -> None:
    volume, view = _volume(), replace(VIEW, axes_mm=(diameter, diameter))
    measured = _outlined(_closeup(volume, _ball(diameter), view), volume, view)
    assert measured.diameters.long_axis_mm == pytest.approx(diameter, abs=0.8)
    middle = (measured.box[0] + measured.box[2]) / 2, (measured.box[1] + measured.box[3]) / 2
    assert middle == pytest.approx((22.0 / 0.7, 20.0 / 0.7), abs=0.8)


def test_a_blurred_edge_is_cut_where_it_is_certain_enough() -> None:
    # A probability of 0.4 is reached a tenth of the blur outside of the ball.
    volume = _volume(spacing=0.4)
    sharp, blurred = (
        _outlined(_closeup(volume, _ball(12.0, blurred=width)), volume).diameters.long_axis_mm
        for width in (0.1, 3.0)
    )
    assert blurred - sharp == pytest.approx(0.6, abs=0.3)


def test_the_blur_of_coarse_pixels_is_no_tail() -> None:
    volume = _volume(spacing=1.6)
    measured = _outlined(_closeup(volume, _ball(12.0, blurred=3.0)), volume).diameters
    assert measured.long_axis_mm == pytest.approx(12.6, abs=0.8)


def _with_spicule(certain: float, reach: float = 14.0) -> Callable[..., np.ndarray]:
    """A ball of 12 mm and a spicule 2 mm wide, so far to the right of its middle."""

    def inside(places: np.ndarray) -> np.ndarray:
        z, y, x = np.moveaxis(np.abs(places), -1, 0)
        spicule = (z < 3) & (y < 1) & (x < reach) & (places[..., 2] > 0)
        return np.maximum(_ball(12.0)(places), certain * spicule)

    return inside


@pytest.mark.parametrize(("certain", "length"), [(0.9, 20.0), (0.15, 20.0), (0.05, 12.0)])
def test_a_spicule_is_followed_where_the_network_thinks_it_possible(
    certain: float, length: float
) -> None:
    volume = _volume()
    measured = _outlined(_closeup(volume, _with_spicule(certain)), volume).diameters
    assert measured.long_axis_mm == pytest.approx(length, abs=1.5)
    end = max(column for column, _ in measured.long_axis) * 0.7 - 22.0
    assert end == pytest.approx(length - 6.0, abs=1.5)
    assert measured.short_axis_mm == pytest.approx(12.5, abs=1.0)


def test_a_tail_hangs_on_its_core_in_its_own_slice() -> None:
    core, faint = np.zeros((2, 20, 20), bool), np.zeros((2, 20, 20), bool)
    core[:, 5:8, 5:8] = True
    faint[0, 5:8, 5:16] = True  # hangs on the core
    faint[1, 5:8, 11:16] = True  # only through the slice before
    found = tails(core, faint, 2.0, (1.0, 1.0))
    assert found.any(axis=(1, 2)).tolist() == [True, False]


def test_a_slice_beyond_the_core_has_no_tails() -> None:
    core, faint = np.zeros((3, 20, 20), bool), np.zeros((3, 20, 20), bool)
    core[1, 5:10, 5:10] = True
    faint[1:, 5:10, 5:18] = True
    found = tails(core, faint, 2.0, (1.0, 1.0))
    assert found.any(axis=(1, 2)).tolist() == [False, True, False]
    # Far are the columns from 12 on; the tail begins 3 pixels, one and a half blurs, before.
    assert np.flatnonzero(found[1].any(axis=0)).tolist() == [*range(9, 18)]


def test_only_the_region_at_the_centre_belongs_to_a_candidate() -> None:
    volume = _volume()

    def two(places: np.ndarray) -> np.ndarray:
        return np.maximum(_ball(6.0)(places), _ball(6.0, at=9.0)(places))

    assert _outlined(_closeup(volume, two), volume).box[2] < 26.5 / 0.7


def test_a_candidate_without_a_map_becomes_a_ball() -> None:
    volume, view = _volume(), replace(VIEW, axes_mm=(9.0, 7.0))
    measured = _outlined(_closeup(volume, _ball(0.0, blurred=1e-3), view), volume, view)
    assert measured.diameters.long_axis_mm == pytest.approx(8, abs=1)


def test_a_candidate_outside_of_the_volume_is_nothing() -> None:
    volume, far = _volume(), replace(VIEW, centre=(24.0, 20.0, 500.0))
    assert outline(far, _closeup(volume, _ball(8.0), far), volume) is None


def _found(place: float, size: float, score: float) -> Found:
    candidate = Candidate((0.0, 0.0, place), score, (size, size, size), 0.0)
    return Found(candidate, np.array([0.0, 0.0, place]))


@pytest.mark.parametrize(("size", "shown"), [(30.0, 30.0), (45.0, 40.5), (80.0, 64.0)])
def test_a_mass_is_shown_as_masses_were_in_training(size: float, shown: float) -> None:
    view = _found(7.0, size, 0.9).view
    assert view.centre == (0.0, 0.0, 7.0)
    assert view.axes_mm == pytest.approx((shown, shown))


def _merged(
    finer: list[Found], coarse: list[Found], coarser: float = 2.0
) -> list[tuple[float, float]]:
    """Size and score of what is left."""
    merged = merge(finer, coarse, coarser)
    return [(each.candidate.size_mm[0], each.candidate.score) for each in merged]


def test_a_mass_takes_the_place_and_the_score_of_its_pieces() -> None:
    pieces = [_found(5.0, 8.0, 0.9), _found(40.0, 8.0, 0.4)]
    assert _merged(pieces, [_found(0.0, 30.0, 0.6)]) == [(8.0, 0.4), (30.0, 0.9)]


def test_a_doubtful_mass_gives_way_to_a_certain_piece() -> None:
    assert _merged([_found(5.0, 8.0, 0.9)], [_found(0.0, 30.0, 0.4)]) == [(8.0, 0.9)]
    assert len(_merged([_found(5.0, 8.0, 0.9)], [_found(40.0, 30.0, 0.4)])) == 2


def test_what_a_coarser_pass_sees_too_is_more_certain() -> None:
    pieces = [_found(0.0, 8.0, 0.3), _found(3.0, 8.0, 0.2), _found(40.0, 8.0, 0.1)]
    merged = _merged(pieces, [_found(1.0, 14.0, 0.7)])
    assert merged == [(8.0, 0.1), (8.0, 0.7), (8.0, 0.2)]
    assert _merged(pieces, [_found(1.0, 14.0, 0.1)])[1] == (8.0, 0.3)


@pytest.mark.parametrize(("size", "coarser"), [(9.0, 2.0), (11.0, 2.0), (22.0, 4.0)])
def test_a_coarser_pass_adds_no_small_lesions(size: float, coarser: float) -> None:
    assert _merged([], [_found(0.0, size, 0.9)], coarser) == []


@pytest.mark.parametrize(("size", "coarser"), [(13.0, 2.0), (30.0, 2.0), (26.0, 4.0)])
def test_a_coarser_pass_adds_what_the_finer_one_does_not_see(size: float, coarser: float) -> None:
    elsewhere = [_found(60.0, 8.0, 0.4)]
    assert _merged(elsewhere, [_found(0.0, size, 0.9)], coarser) == [(8.0, 0.4), (size, 0.9)]


def test_the_midpoint_becomes_a_half_and_the_order_stays() -> None:
    assert calibrated(0.3, 0.3) == pytest.approx(0.5)
    assert [calibrated(p, 0.5) for p in (0.0, 0.2, 1.0)] == pytest.approx([0.0, 0.2, 1.0])
    values = [calibrated(p, 0.3) for p in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert values == sorted(values)
    assert values[3] == pytest.approx(1 / (1 + (0.4 / 0.6) / (0.7 / 0.3)))


def test_a_pass_is_coarser_along_every_axis() -> None:
    assert spacing(4.0) == (8.0, 4.0, 4.0)


def test_one_of_each_group_remains_best_first() -> None:
    found = [_found(0.0, 6.0, 0.5), _found(3.5, 6.0, 0.7), _found(20.0, 6.0, 0.9)]
    assert [f.candidate.score for f in best(found)] == [0.9, 0.7]
    assert best([]) == []


def test_chunks_and_the_whole_volume_give_the_same_answer() -> None:
    torch.manual_seed(0)
    network = Network(SMALL).eval()
    with torch.no_grad():
        network.heads.bias[0] = 0.0
        network.heads.weight[0] *= 60.0
    rng = np.random.default_rng(0)
    hu = torch.from_numpy(rng.normal(-500, 300, (1, 1, 40, 32, 32)).astype(np.float32))
    grid = Lattice((0, 0, 0), (2, 1, 1), (40, 32, 32), np.eye(3, 4))
    computed = 32 * 32 * (16 + 2 * OVERLAP)
    whole, parts = (respond(network, hu, grid, room) for room in (Room(), Room(computed)))
    expected = {tuple(np.round(c.centre)) for c in whole}
    common = expected & {tuple(np.round(c.centre)) for c in parts}
    assert len(expected) > 10
    assert len(common) >= 0.9 * len(expected)


class Mirror(torch.nn.Module):
    """Says "centre" where the lung window is bright."""

    def forward(self, x: torch.Tensor) -> Maps:
        bright = 20 * x[:, :1] - 10
        coarse = torch.nn.functional.avg_pool3d(bright, (1, 2, 2))
        zeros = [torch.zeros(1, count, *coarse.shape[2:]) for count in (3, 3, 2)]
        return Maps(coarse, *zeros, bright)


@pytest.mark.parametrize("first", [(0, 0, 0), (3, 2, 6), (-5, -14, 18)])
def test_candidates_lie_on_the_lattice_wherever_it_begins(first: tuple[int, int, int]) -> None:
    hu = torch.full((1, 1, 30, 40, 40), -1000.0)
    hu[0, 0, 12, 16:18, 22:24] = 400.0
    grid = Lattice(first, (2, 1, 1), (30, 40, 40), np.eye(3, 4))

    found = respond(Mirror(), hu, grid, Room(8 * 1600))

    assert [candidate.centre for candidate in found] == [(12.0, 16.5, 22.5)]


def test_weights_come_back_as_they_were_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network(SMALL).eval()
    write(Weights(network, "test-1", 0.3), tmp_path, "test")
    again, version, midpoint, digest = read(tmp_path, "test")
    assert digest == sha256((tmp_path / "test.safetensors").read_bytes()).hexdigest()
    x = torch.rand(1, 2, 8, 16, 16)
    assert (version, midpoint) == ("test-1", 0.3)
    assert torch.allclose(network(x).centre, again(x).centre, atol=1e-2)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    write(Weights(Network(SMALL), "test-1", 0.3), tmp_path, "test")
    path = tmp_path / "test.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedWeights, match=r"test\.safetensors"):
        read(tmp_path, "test")
