"""The network's grid: where it lies, what is sampled on it, how it is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugin.detector import lattice as lattice_module
from plugin.detector.lattice import Lattice, chunks, lattice, sample, source
from plugin.volume import Slice, Volume

CPU = torch.device("cpu")

#: Directions of (slice, row, column) in LPS (x, y, z).
ORIENTATIONS = {
    "axial": [(0, 0, 1), (0, 1, 0), (1, 0, 0)],
    "axial, feet first": [(0, 0, -1), (0, 1, 0), (1, 0, 0)],
    "sagittal": [(1, 0, 0), (0, 0, -1), (0, 1, 0)],
    "coronal": [(0, 1, 0), (0, 0, -1), (1, 0, 0)],
    "tilted gantry": [(0, 0.3, 1), (0, 1, 0), (1, 0, 0)],
}


def _ramp(directions: list[tuple[float, ...]], spacing: tuple[float, float, float]) -> Volume:
    """A volume whose attenuation is x + 2 y + 3 z of the place in the patient."""
    affine = np.eye(4)
    affine[:3, :3] = (np.array(directions, float) * np.array(spacing)[:, None]).T
    affine[:3, 3] = (-20.0, 11.0, 5.0)
    shape = (18, 20, 22)
    places = np.stack(np.indices(shape), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    hu = (places @ np.array([1.0, 2.0, 3.0])).astype(np.float32)
    return Volume(hu, affine, tuple(Slice(str(i), None) for i in range(shape[0])), ())


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_orientation_is_sampled_where_it_lies(name: str) -> None:
    volume = _ramp(ORIENTATIONS[name], (1.5, 0.9, 1.1))
    grid = lattice(volume)
    found = sample(source(volume, CPU), grid)[0].numpy()
    places = grid.to_mm(np.stack(np.indices(grid.shape), axis=-1).astype(float))
    inside = _inside(grid.to_volume, grid.shape, volume.hu.shape)
    assert inside.mean() > 0.4
    assert found[inside] == pytest.approx((places @ np.array([3.0, 2.0, 1.0]))[inside], abs=0.05)


def _inside(to_volume: np.ndarray, shape: tuple[int, ...], volume: tuple[int, ...]) -> np.ndarray:
    indices = np.stack(np.indices(shape), axis=-1) @ to_volume[:, :3].T + to_volume[:, 3]
    return ((indices >= 0) & (indices <= np.array(volume) - 1)).all(axis=-1)


def test_indices_go_to_the_volume_and_back() -> None:
    grid = lattice(_ramp(ORIENTATIONS["tilted gantry"], (1.5, 0.9, 1.1)), (4.0, 2.0, 2.0))
    indices = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    there = indices @ grid.to_volume[:, :3].T + grid.to_volume[:, 3]
    assert grid.from_volume(there) == pytest.approx(indices)


def test_a_part_is_the_same_as_that_part_of_the_whole() -> None:
    volume = _ramp(ORIENTATIONS["axial"], (2.5, 0.7, 0.7))
    grid, hu = lattice(volume), source(volume, CPU)
    depth, height, width = grid.shape
    whole = sample(hu, grid)
    part = sample(hu, grid.part((4, 2, 0), (depth - 4, height - 2, width)))
    assert torch.allclose(whole[:, 4:, 2:], part, atol=1e-3)


def test_a_large_volume_is_looked_at_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = _noise(0.7, tilt=0.4)
    grid, hu = lattice(volume), source(volume, CPU)
    whole = sample(hu, grid)
    seen: list[int] = []
    crop = lattice_module._cropped

    def counted(hu: torch.Tensor, needed: list[slice], averaged: int) -> torch.Tensor:
        seen.append(math.prod(each.stop - each.start for each in needed))
        return crop(hu, needed, averaged)

    monkeypatch.setattr(lattice_module, "_cropped", counted)
    monkeypatch.setattr(lattice_module, "_MOST_VOXELS", 4000)
    assert torch.allclose(sample(hu, grid), whole, atol=1e-2)
    assert len(seen) > 2
    assert max(seen) <= 4000 < hu.numel()


def test_beyond_the_volume_its_border_repeats() -> None:
    volume = _ramp(ORIENTATIONS["axial"], (2.5, 0.7, 0.7))
    grid, hu = lattice(volume), source(volume, CPU)
    depth, height, width = grid.shape
    around = sample(hu, grid.part((-8, 0, 0), (depth + 20, height, width)))
    assert torch.equal(around[:, 0], around[:, 7])
    assert torch.equal(around[:, -1], around[:, -12])
    assert not torch.equal(around[:, 8], around[:, 12])
    beyond = sample(hu, grid.part((depth + 5, 0, 0), (2, height, width)))
    assert torch.allclose(beyond[:, 0], around[:, -1], atol=1e-3)


def _noise(slice_mm: float, slices: int = 40, missing: int = 0, tilt: float = 0.0) -> Volume:
    """Noise without its first `missing` slices."""
    hu = np.random.default_rng(0).normal(0, 100, (slices, 16, 18)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = np.array([(0.0, tilt, slice_mm), (0, 0.9, 0), (0.9, 0, 0)]).T
    affine[:3, 3] = np.array((-21.3, 17.77, -412.6)) + missing * affine[:3, 0]
    names = tuple(Slice(str(i), None) for i in range(missing, slices))
    return Volume(hu[missing:], affine, names, ())


@pytest.mark.parametrize("tilt", [0.0, 0.4])
@pytest.mark.parametrize("slice_mm", [0.7, 2.5, 5.0])
def test_slices_that_come_late_leave_the_others_on_their_voxels(
    slice_mm: float, tilt: float
) -> None:
    early, late = _noise(slice_mm, missing=3, tilt=tilt), _noise(slice_mm, tilt=tilt)
    some, all_of_it = lattice(early), lattice(late)
    assert some.first[0] > all_of_it.first[0]

    # The patient's voxels of the early lattice that see none of the slices at its beginning.
    rows = np.array(some.shape) - np.ceil(np.array((6 * slice_mm, 0, 0)) / some.spacing).astype(int)
    start = np.array(some.shape) - rows
    here = some.part(tuple(start), tuple(rows))
    there = all_of_it.part(tuple(start + some.first - all_of_it.first), tuple(rows))
    assert here.first == there.first
    found = sample(source(early, CPU), here)
    assert torch.equal(found, sample(source(late, CPU), there))
    assert found.std() > 10


def test_voxels_of_the_output_are_whole() -> None:
    for coarser in (1.0, 4.0):
        grid = lattice(_noise(2.5), (2.0 * coarser, coarser, coarser))
        assert [n % 2 for n in (*grid.first[1:], *grid.shape[1:])] == [0, 0, 0, 0]
        ends = grid.to_mm(np.array([(0.0, 0, 0), np.array(grid.shape) - 1.0]))
        assert (ends[0] <= (-412.6, 17.77, -21.3)).all()
        assert (ends[1] >= (-412.6 + 39 * 2.5, 17.77 + 15 * 0.9, -21.3 + 17 * 0.9)).all()


def test_places_become_indices_and_places_again() -> None:
    grid = lattice(_noise(2.5), (4.0, 2.0, 2.0))
    indices = np.array([[1.0, 2.5, 3.0], [0.0, 0.0, 0.0]])
    assert grid.from_mm(grid.to_mm(indices)) == pytest.approx(indices)


def test_thin_slices_are_averaged_and_thick_ones_are_left_alone() -> None:
    thick, thin = _noise(2.5), _noise(0.5)
    assert (lattice(thick).averaged, lattice(thin).averaged) == (1, 5)
    assert lattice(_noise(0.5, slices=4)).averaged == 1
    # Sampled on its own voxels, so that nothing but the averaging makes it smoother.
    grid = Lattice((0, 0, 0), (0.5, 0.9, 0.9), thin.hu.shape, np.eye(3, 4), averaged=5)
    found = sample(source(thin, CPU), grid)[0].numpy()
    assert found[2] == pytest.approx(thin.hu[:5].mean(axis=0), abs=1e-3)
    ends = np.concatenate([thin.hu[:1], thin.hu[:1], thin.hu[:3]]).mean(axis=0)
    assert found[0] == pytest.approx(ends, abs=1e-3)


@given(st.integers(-500, 500), st.integers(1, 300), st.integers(1, 64), st.integers(0, 20))
def test_chunks_keep_every_slice_once_and_bring_their_surroundings(
    first: int, count: int, length: int, overlap: int
) -> None:
    kept: list[int] = []
    for computed, keep in chunks(first, count, length, overlap, 8):
        assert (first + computed.start) % 8 == 0
        assert (first + computed.stop) % 8 == 0
        assert computed.start <= max(keep.start - overlap, 0)
        assert computed.stop >= min(keep.stop + overlap, count)
        assert -8 < computed.start < computed.stop < count + 8
        kept += range(keep.start, keep.stop)
    assert kept == list(range(count))


def test_chunks_meet_at_the_same_places_of_the_patient() -> None:
    meet = [first + keep.start for first in (-7, 20) for _, keep in chunks(first, 200, 48, 8, 8)]
    assert meet == [-7, 0, 48, 96, 144, 192, 20, 48, 96, 144, 192]
