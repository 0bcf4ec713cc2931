"""Nodules are found in the lungs of a scanner that gave none to learn from.

Held-out patches are from the scanners of the patches that were learned from, and what is learned
first where nodules and lesion-free lungs come from different scanners is to tell these apart. So
held-out nodules are blended into a normal chest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from plugin.datasets.nodules import SPACING, is_held_out, read_patches
from plugin.detector.learned import shipped
from plugin.evaluation.judge import centre
from plugin.measure import longest
from plugin.volume import Slice, Volume, read

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plugin.datasets.nodules import Patch

#: How many nodules are looked for, and how long they are, mm.
_COUNT, _LONG_MM = 16, (6.0, 20.0)
#: Half of the edge of what is shown of the chest around each, mm.
_AROUND_MM = 40.0
#: A report begins with this score.
_SCORE = 0.5


def _nodules(folder: Path) -> list[Patch]:
    """Held-out nodules, the same at every time."""
    low, high = _LONG_MM
    found = [
        patch
        for patch in read_patches(folder / "nodules")
        if is_held_out(patch.series_instance_uid)
        and low <= max(longest(each, 1, 1) for each in patch.mask if each.sum() > 1) <= high
    ]
    return [found[i] for i in np.random.default_rng(7).permutation(len(found))[:_COUNT]]


def _places(chest: Volume) -> NDArray[np.int_]:
    """Voxels [N, 3] of lung that lie 5 mm from whatever is not."""
    thinned = np.array((1, 2, 2))  # every second row and column will do
    hu = chest.hu[:, ::2, ::2]
    body = [ndimage.binary_fill_holes(ndimage.binary_opening(each > -300)) for each in hu]
    away = ndimage.distance_transform_edt((hu < -650) & np.stack(body), chest.spacing * thinned)
    found = np.argwhere((away > 5.0) & (away < 8.0)) * thinned
    margin = 25
    return found[(found[:, 0] > margin) & (found[:, 0] < len(chest.hu) - margin)]


def _with_nodule(chest: Volume, place: NDArray[np.int_], patch: Patch) -> Volume:
    """A part of the chest whose middle is a nodule with 2 mm of its surroundings."""
    spacing = np.array(chest.spacing)
    half = np.round(_AROUND_MM / spacing).astype(int)
    low, high = np.maximum(place - half, 0), np.minimum(place + half, chest.hu.shape)
    part = chest.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    grid = np.stack(np.meshgrid(*map(np.arange, part.shape), indexing="ij"), axis=-1)
    middle = np.argwhere(patch.mask).mean(axis=0)
    where = np.moveaxis((grid - (place - low)) * spacing / SPACING + middle, -1, 0)
    near = ndimage.binary_dilation(patch.mask, iterations=2).astype(np.float32)
    share = ndimage.map_coordinates(ndimage.gaussian_filter(near, 1.0), where, order=1)
    nodule = ndimage.map_coordinates(patch.hu.astype(np.float32), where, order=1, mode="nearest")
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = -((place - low) * spacing)[::-1]
    affine[3, 3] = 1.0
    slices = tuple(Slice(f"{patch.name}.{index}", None) for index in range(len(part)))
    hu = (part * (1 - share) + nodule * share).astype(np.float32)
    return Volume(hu, affine, slices, ())


def test_nodules_are_found_in_a_chest_of_another_scanner(data: Path) -> None:
    folder = data / "series" / "COVID-CT-MD-normal001"
    if not folder.is_dir():
        pytest.skip("COVID-CT-MD-normal001 is not at hand")
    detector, chest = shipped("cpu"), read(folder.iterdir())
    places, rng = _places(chest), np.random.default_rng(11)
    found = 0
    for patch in _nodules(data):
        volume = _with_nodule(chest, places[rng.integers(len(places))], patch)
        seen = detector.detect(volume, _SCORE)
        # The nodule lies at the origin of the patient.
        found += any(np.linalg.norm(centre(each, volume)) < _LONG_MM[0] for each in seen)
    assert found >= 0.8 * _COUNT
