from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugin.bookmark import LesionType
from plugin.datasets import phantom
from plugin.datasets.phantom import LESIONS, Orientation, Spec
from plugin.detector import Detection, load
from plugin.detector.candidates import candidates
from plugin.detector.grid import Grid, around, resample, sample
from plugin.detector.likeness import Features, features, likeness
from plugin.detector.lungs import closed, lungs
from plugin.measure import measure
from plugin.volume import Slice, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD = 0.5
SLICES = (70, 256, 256)


@cache
def volume_of(spec: Spec) -> Volume:
    slices = tuple(Slice(str(k), None) for k in range(spec.shape[0]))
    return Volume(phantom.attenuation(spec), phantom.affine(spec), slices, ())


@cache
def detected(spec: Spec) -> tuple[Detection, ...]:
    return tuple(load().detect(volume_of(spec)))


def found_in(spec: Spec) -> list[Detection]:
    return [found for found in detected(spec) if found.score >= THRESHOLD]


def centre(found: Detection, volume: Volume) -> NDArray[np.float64]:
    middle = np.argwhere(found.mask).mean(axis=0) + found.offset
    return volume.to_patient(middle)


@pytest.mark.parametrize(
    "spec",
    [
        Spec(),
        Spec(seed=2),
        Spec(tilt=15.0),
        Spec(orientation=Orientation.SAGITTAL, shape=(110, 100, 170), spacing=(2.5, 1.8, 1.5)),
        Spec(orientation=Orientation.CORONAL, shape=(96, 100, 230), spacing=(2.5, 1.8, 1.5)),
        Spec(shape=(175, 256, 256), spacing=(1.0, 1.375, 1.375)),
    ],
    ids=["axial", "other noise", "tilted", "sagittal", "coronal", "thin"],
)
def test_every_lesion_of_a_phantom_is_found_and_nothing_else(spec: Spec) -> None:
    volume, detections = volume_of(spec), found_in(spec)

    at = np.array([centre(found, volume) for found in detections])
    truth = np.array([lesion.centre for lesion in LESIONS])
    distances = np.linalg.norm(at[:, None] - truth[None], axis=2)  # [detections, lesions]
    assert distances.min(axis=0).max() < 2.0
    assert len(detections) == len(LESIONS)
    assert {found.lesion_type for found in detections} == {LesionType.LUNG}


def test_diameters_of_found_lesions_fit() -> None:
    volume = volume_of(Spec())
    for found in found_in(Spec()):
        at = centre(found, volume)
        truth = min(LESIONS, key=lambda lesion: float(np.linalg.norm(at - lesion.centre)))

        diameters = measure(found.mask, found.offset, volume).diameters

        assert diameters.long_axis_mm == pytest.approx(max(truth.diameters), abs=1.4)
        # Where it lies on the chest wall, its edge is anybody's guess.
        assert diameters.short_axis_mm == pytest.approx(sorted(truth.diameters)[1], abs=2.5)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_normal_chest_has_no_lesions(seed: int) -> None:
    assert found_in(Spec(lesions=(), seed=seed)) == []


@pytest.mark.parametrize("hu", [-1000.0, 0.0], ids=["air", "water"])
def test_without_lungs_there_is_nothing_to_find(hu: float) -> None:
    slices = tuple(Slice(str(k), None) for k in range(20))
    empty = Volume(np.full((20, 64, 64), hu, np.float32), np.diag([5.0, 4, 4, 1]), slices, ())

    assert load().detect(empty) == []


def test_the_same_volume_gives_the_same_detections() -> None:
    first, second = detected(Spec()), load().detect(volume_of(Spec()))

    assert [(f.offset, f.score) for f in first] == [(f.offset, f.score) for f in second]
    pairs = zip(first, second, strict=True)
    assert all(np.array_equal(a.mask, b.mask) for a, b in pairs)


def test_masks_fit_the_volume_and_are_cropped() -> None:
    volume = volume_of(Spec())
    for found in detected(Spec()):
        end = np.add(found.offset, found.mask.shape)
        assert min(found.offset) >= 0
        assert np.all(end <= volume.hu.shape)
        assert 0 <= found.score <= 1
        for axis in range(3):
            others = tuple({0, 1, 2} - {axis})
            filled = np.flatnonzero(found.mask.any(axis=others))
            assert (filled[0], filled[-1]) == (0, found.mask.shape[axis] - 1)


def linear(grid_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """A field that interpolation must keep: z, y, x in mm -> a number."""
    return np.asarray(grid_mm @ [3.0, -2.0, 1.0])


@pytest.mark.parametrize("orientation", list(Orientation))
@pytest.mark.parametrize("tilt", [0.0, 20.0])
def test_sampling_keeps_places_in_the_patient(orientation: Orientation, tilt: float) -> None:
    spec = Spec((), (24, 20, 22), (2.0, 1.5, 1.25), orientation, tilt)
    indices = np.moveaxis(np.indices(spec.shape), 0, -1).astype(float)
    slices = tuple(Slice(str(k), None) for k in range(24))
    volume = Volume(np.zeros(spec.shape, np.float32), phantom.affine(spec), slices, ())
    at = volume.to_patient(indices)[..., ::-1]
    volume = replace(volume, hu=linear(at).astype(np.float32))
    inner = Grid((-6.0, -6.0, -6.0), 1.0, (13, 13, 13))

    sampled = sample(volume, inner)

    places = inner.to_mm(np.moveaxis(np.indices(inner.shape), 0, -1).astype(float))
    assert np.allclose(sampled, linear(places), atol=1e-3)


def test_the_grid_around_a_volume_holds_every_voxel() -> None:
    spec = Spec((), (24, 20, 22), (2.0, 1.5, 1.25), tilt=20.0)
    slices = tuple(Slice(str(k), None) for k in range(24))
    volume = Volume(np.zeros(spec.shape, np.float32), phantom.affine(spec), slices, ())

    grid = around(volume, 3.0)

    indices = np.moveaxis(np.indices(spec.shape), 0, -1).reshape(-1, 3).astype(float)
    at = volume.to_patient(indices)[:, ::-1]
    last = grid.to_mm(np.array(grid.shape) - 1.0)
    assert np.all(at >= np.array(grid.origin) - 1e-6)
    assert np.all(at <= last + 1e-6)


def test_a_mask_keeps_its_size_on_another_grid() -> None:
    coarse = Grid((0.0, 0.0, 0.0), 3.0, (20, 20, 20))
    mask = np.zeros(coarse.shape, bool)
    mask[5:15, 5:15, 5:15] = True

    fine = coarse.around(mask, 1.0)
    finer = resample(mask, coarse, fine)

    assert finer.sum() == pytest.approx(mask.sum() * 27, rel=0.05)


def chest(*, mass: bool) -> NDArray[np.float32]:
    """Two lungs of 90 x 60 x 60 mm on cubes of 3 mm; a mass of 24 mm may lie on a wall."""
    z, y, x = np.indices((40, 40, 60)) * 3.0
    hu = np.full(z.shape, -1000.0, np.float32)
    hu[((x - 90) / 85) ** 2 + ((y - 60) / 55) ** 2 < 1] = 40
    for middle in (50, 130):
        lung = ((x - middle) / 30) ** 2 + ((y - 60) / 40) ** 2 + ((z - 60) / 55) ** 2 < 1
        hu[lung] = -850
    if mass:
        hu[(x - 28) ** 2 + (y - 60) ** 2 + (z - 60) ** 2 < 12**2] = 40
    return hu


def test_lungs_are_found_and_the_air_around_the_body_is_not() -> None:
    hu = chest(mass=False)

    found = lungs(hu, 3.0)

    assert np.array_equal(found, hu == -850)


def test_a_mass_on_the_chest_wall_lies_in_the_closed_lung_and_the_mediastinum_does_not() -> None:
    lung = lungs(chest(mass=True), 3.0)

    inside = closed(lung, 3.0)

    # Voxels (z, y, x): in the mass, between the lungs, in the wall.
    assert not lung[20, 20, 10]
    assert inside[20, 20, 10]
    assert not inside[20, 20, 30]
    assert not inside[20, 20, 3]
    assert inside[lung].all()


def test_a_lesion_is_cut_from_the_vessel_that_touches_it() -> None:
    z, y, x = np.indices((60, 60, 90))
    ball = (z - 30) ** 2 + (y - 30) ** 2 + (x - 25) ** 2 <= 10**2
    vessel = ((z - 30) ** 2 + (y - 30) ** 2 <= 3**2) & (x > 25)

    first = next(iter(candidates(ball | vessel, 1.0, 1.0)))

    mask = np.zeros(ball.shape, bool)
    mask[first.place] = first.mask
    assert first.radius == pytest.approx(10, abs=1)
    assert (mask & ball).sum() == ball.sum()
    assert np.argwhere(mask)[:, 2].max() < 25 + 10 + 5


def test_balls_are_more_like_lesions_than_vessels_are() -> None:
    z, y, x = np.indices((60, 60, 60))
    ball = (z - 30) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 <= 5**2
    vessel = (z - 30) ** 2 + (y - 30) ** 2 <= 3**2
    inside = np.ones(ball.shape, bool)

    described = [
        features(next(iter(candidates(solid, 1.0, 1.0))), solid, inside, 1.0)
        for solid in (ball, vessel)
    ]

    assert described[0].compactness == pytest.approx(1, abs=0.35)
    assert described[0].flatness == pytest.approx(1, abs=0.05)
    assert described[0].attached == 0
    assert described[1].compactness < 0.3
    assert likeness(described[0]) > 0.9
    assert likeness(described[1]) < THRESHOLD


def test_thick_slices_hold_no_small_candidates() -> None:
    z, y, x = np.indices((30, 30, 30))
    ball = (z - 15) ** 2 + (y - 15) ** 2 + (x - 15) ** 2 <= 3**2

    assert len(list(candidates(ball, 1.0, 1.25))) == 1
    assert list(candidates(ball, 1.0, 5.0)) == []


def test_every_vessel_that_touches_makes_a_lesion_less_likely() -> None:
    alone = Features(compactness=0.5, flatness=0.7, wall=0.0, attached=0.05, radius=4.0)

    assert likeness(replace(alone, attached=0.3)) < THRESHOLD < likeness(alone)
    assert likeness(replace(alone, flatness=0.2)) < THRESHOLD
