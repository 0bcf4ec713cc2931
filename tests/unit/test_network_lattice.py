"""The network's grid: where it lies, what is sampled on it, how it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugin.detector.lattice import chunks, lattice, sample, source
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
    found = sample(source(volume, CPU), grid, 0, grid.shape)[0].numpy()
    places = grid.to_mm(np.stack(np.indices(grid.shape), axis=-1).astype(float))
    inside = _inside(grid.to_volume, grid.shape, volume.hu.shape)
    assert inside.mean() > 0.5
    assert found[inside] == pytest.approx((places @ np.array([3.0, 2.0, 1.0]))[inside], abs=0.05)


def _inside(to_volume: np.ndarray, shape: tuple[int, ...], volume: tuple[int, ...]) -> np.ndarray:
    indices = np.stack(np.indices(shape), axis=-1) @ to_volume[:, :3].T + to_volume[:, 3]
    return ((indices >= 0) & (indices <= np.array(volume) - 1)).all(axis=-1)


def test_indices_go_to_the_volume_and_back() -> None:
    grid = lattice(_ramp(ORIENTATIONS["tilted gantry"], (1.5, 0.9, 1.1)), (4.0, 2.0, 2.0))
    indices = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    there = indices @ grid.to_volume[:, :3].T + grid.to_volume[:, 3]
    assert grid.from_volume(there) == pytest.approx(indices)


def test_a_chunk_is_the_same_as_that_part_of_the_whole() -> None:
    volume = _ramp(ORIENTATIONS["axial"], (2.5, 0.7, 0.7))
    grid, hu = lattice(volume), source(volume, CPU)
    depth, height, width = grid.shape
    whole = sample(hu, grid, 0, grid.shape)
    part = sample(hu, grid, 4, (depth - 4, height, width))
    assert torch.allclose(whole[:, 4:], part, atol=1e-3)


def test_thin_slices_are_averaged_and_thick_ones_are_left_alone() -> None:
    noise = np.random.default_rng(0).normal(0, 100, (40, 16, 16)).astype(np.float32)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]
    slices = tuple(Slice(str(i), None) for i in range(40))
    thick = Volume(noise, affine * np.array([2.5, 1, 1, 1]), slices, ())
    thin = Volume(noise, affine * np.array([0.5, 1, 1, 1]), slices, ())
    assert source(thick, CPU).std().item() == pytest.approx(100, rel=0.05)
    assert source(thin, CPU).std().item() == pytest.approx(100 / 5**0.5, rel=0.1)
    assert source(thin, CPU).shape == source(thick, CPU).shape


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 20))
def test_chunks_keep_every_slice_once_and_bring_their_surroundings(
    count: int, length: int, overlap: int
) -> None:
    kept: list[int] = []
    for computed, keep in chunks(count, length, overlap, 8):
        assert computed.start % 8 == 0
        assert computed.start <= max(keep.start - overlap, 0)
        assert computed.stop >= min(keep.stop + overlap, count)
        assert 0 <= computed.start < computed.stop <= count
        kept += range(keep.start, keep.stop)
    assert kept == list(range(count))
