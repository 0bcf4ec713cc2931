"""The learned detector around its network: outlines, merging of passes, the shipped weights."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from plugin.detector.checkpoint import DamagedWeights, Weights, read, write
from plugin.detector.device import Room
from plugin.detector.lattice import Lattice, lattice
from plugin.detector.learned import Found, best, calibrated, merge, spacing
from plugin.detector.network import Architecture, Maps, Network
from plugin.detector.outline import outline
from plugin.detector.response import OVERLAP, Candidate, Response, respond
from plugin.measure import measure
from plugin.volume import Slice, Volume

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Architecture(channels=(8, 8, 16, 16), blocks=(1, 1, 1, 1))


def _volume(shape: tuple[int, int, int] = (20, 60, 60), spacing: float = 0.7) -> Volume:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = (2.5, spacing, spacing)
    affine[3, 3] = 1.0
    slices = tuple(Slice(str(i), None) for i in range(shape[0]))
    return Volume(np.full(shape, -850.0, np.float32), affine, slices, ())


def _ball(grid: Lattice, centre: tuple[float, float, float], diameter: float) -> np.ndarray:
    """A map of insides that falls from 1 to 0 around the surface of a ball, [z, y, x]."""
    places = np.stack(np.indices(grid.shape), axis=-1)
    away = np.linalg.norm((places - centre) * grid.spacing, axis=-1)
    return (255 * (0.5 + (diameter / 2 - away) / 4).clip(0, 1)).astype(np.uint8)


def _candidate(size: float = 10.0, score: float = 0.9, at: tuple = (12.0, 20.0, 22.0)) -> Candidate:
    return Candidate(at, score, (size, size, size), 0.0)


@pytest.mark.parametrize("diameter", [6.0, 10.0, 20.0])
def test_an_outline_measures_what_the_map_shows(diameter: float) -> None:
    volume = _volume()
    grid = lattice(volume)
    piece = outline(_candidate(diameter), _ball(grid, (12.0, 20.0, 22.0), diameter), grid, volume)
    assert piece is not None
    measured = measure(piece.mask, piece.offset, volume)
    assert measured.diameters.long_axis_mm == pytest.approx(diameter, abs=0.8)
    middle = (measured.box[0] + measured.box[2]) / 2, (measured.box[1] + measured.box[3]) / 2
    assert middle == pytest.approx((22.0 / 0.7, 20.0 / 0.7), abs=0.8)


def _spiculated(volume: Volume, grid: Lattice) -> np.ndarray:
    """A ball of 12 mm in the volume with a spicule of 8 mm to the right; its map of insides.

    The map has the ball, and the spicule faintly.
    """
    z, y, x = np.indices(volume.hu.shape) * np.array([2.5, 0.7, 0.7])[:, None, None, None]
    ball = (z - 24) ** 2 + (y - 20) ** 2 + (x - 22) ** 2 <= 6**2
    spicule = (abs(z - 24) < 2) & (abs(y - 20) < 1) & (x > 22) & (x < 36)
    volume.hu[ball | spicule] = 40
    zyx = np.stack(np.indices(grid.shape), axis=-1) * grid.spacing
    faint = (np.abs(zyx - (24, 20, 29)) <= (3, 3, 9)).all(axis=-1)
    return np.maximum(_ball(grid, (12, 20, 22), 12.0), np.where(faint, 8, 0).astype(np.uint8))


@pytest.mark.parametrize(("expected", "length"), [(18.0, 20.0), (30.0, 20.0)])
def test_a_spicule_that_the_map_shows_faintly_is_measured(expected: float, length: float) -> None:
    volume = _volume()
    grid = lattice(volume)
    piece = outline(_candidate(expected), _spiculated(volume, grid), grid, volume)
    assert piece is not None
    measured = measure(piece.mask, piece.offset, volume).diameters
    assert measured.long_axis_mm == pytest.approx(length, abs=1.0)
    ends = sorted(column for column, _ in measured.long_axis)
    assert ends == pytest.approx((16 / 0.7, 36 / 0.7), abs=1.5)


def test_a_vessel_that_the_map_does_not_show_is_not_measured() -> None:
    volume = _volume()
    grid = lattice(volume)
    _spiculated(volume, grid)
    piece = outline(_candidate(12.0), _ball(grid, (12, 20, 22), 12.0), grid, volume)
    assert piece is not None
    measured = measure(piece.mask, piece.offset, volume).diameters
    assert measured.long_axis_mm == pytest.approx(12.0, abs=1.5)


@pytest.mark.parametrize(("expected", "length"), [(8.0, 10.0), (14.0, 14.0)])
def test_the_size_head_decides_how_much_of_a_blurred_edge_belongs(
    expected: float, length: float
) -> None:
    volume = _volume(spacing=0.5)
    grid = lattice(volume)
    z, y, x = np.indices(volume.hu.shape) * np.array([2.5, 0.5, 0.5])[:, None, None, None]
    away = np.sqrt((z - 24) ** 2 + (y - 15) ** 2 + (x - 15) ** 2)
    volume.hu[:] = -850 + 900 * (0.5 + (6 - away) / 8).clip(0, 1)
    faint = np.full(grid.shape, 8, np.uint8)
    inside = np.maximum(_ball(grid, (12, 15, 15), 6.0), faint)
    piece = outline(_candidate(expected, at=(12.0, 15.0, 15.0)), inside, grid, volume)
    assert piece is not None
    measured = measure(piece.mask, piece.offset, volume).diameters
    assert measured.long_axis_mm == pytest.approx(length, abs=1.0)


def test_only_the_region_at_the_centre_belongs_to_a_candidate() -> None:
    volume = _volume()
    grid = lattice(volume)
    two = np.maximum(_ball(grid, (12, 20, 16), 6.0), _ball(grid, (12, 20, 25), 6.0))
    piece = outline(_candidate(6.0, at=(12.0, 20.0, 16.0)), two, grid, volume)
    assert piece is not None
    assert measure(piece.mask, piece.offset, volume).box[2] < 21.0 / 0.7


def test_a_candidate_without_a_map_becomes_a_ball() -> None:
    volume = _volume()
    grid = lattice(volume)
    piece = outline(_candidate(8.0), np.zeros(grid.shape, np.uint8), grid, volume)
    assert piece is not None
    assert measure(piece.mask, piece.offset, volume).diameters.long_axis_mm == pytest.approx(
        8, abs=1
    )


def test_a_candidate_outside_of_the_volume_is_nothing() -> None:
    volume = _volume()
    grid = lattice(volume)
    far = _candidate(at=(12.0, 20.0, 500.0))
    assert outline(far, np.zeros(grid.shape, np.uint8), grid, volume) is None


def _found(place: float, size: float, score: float) -> Found:
    grid = Lattice((0, 0, 0), (2, 1, 1), (1, 1, 1), np.eye(3, 4))
    response = Response([], np.zeros((1, 1, 1), np.uint8))
    return Found(_candidate(size, score), np.array([0.0, 0.0, place]), response, grid)


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


@pytest.mark.parametrize(("size", "coarser"), [(9.0, 2.0), (14.0, 2.0), (18.0, 4.0), (40.0, 4.0)])
def test_a_coarser_pass_adds_no_small_lesions(size: float, coarser: float) -> None:
    assert _merged([], [_found(0.0, size, 0.9)], coarser) == []


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
    assert whole.inside.shape == (40, 32, 32)
    assert np.abs(whole.inside.astype(int) - parts.inside).max() <= 8
    expected = {tuple(np.round(c.centre)) for c in whole.candidates}
    common = expected & {tuple(np.round(c.centre)) for c in parts.candidates}
    assert len(expected) > 10
    assert len(common) >= 0.9 * len(expected)


class Mirror(torch.nn.Module):
    """Says "inside" and "centre" where the lung window is bright."""

    def forward(self, x: torch.Tensor) -> Maps:
        bright = 20 * x[:, :1] - 10
        coarse = torch.nn.functional.avg_pool3d(bright, (1, 2, 2))
        zeros = [torch.zeros(1, count, *coarse.shape[2:]) for count in (3, 3, 2)]
        return Maps(coarse, *zeros, bright)


@pytest.mark.parametrize("first", [(0, 0, 0), (3, 2, 6), (-5, -14, 18)])
def test_maps_lie_on_the_lattice_wherever_it_begins(first: tuple[int, int, int]) -> None:
    hu = torch.full((1, 1, 30, 40, 40), -1000.0)
    hu[0, 0, 12, 16:18, 22:24] = 400.0
    grid = Lattice(first, (2, 1, 1), (30, 40, 40), np.eye(3, 4))

    found = respond(Mirror(), hu, grid, Room(8 * 1600))

    assert np.argwhere(found.inside > 200).tolist() == [
        [12, y, x] for y in (16, 17) for x in (22, 23)
    ]
    assert [candidate.centre for candidate in found.candidates] == [(12.0, 16.5, 22.5)]


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
