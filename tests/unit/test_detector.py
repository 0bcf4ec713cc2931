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
from plugin.volume import Slice, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD = 0.5


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
        Spec(tilt=15.0),
        Spec(orientation=Orientation.SAGITTAL, shape=(110, 100, 170), spacing=(2.5, 1.8, 1.5)),
        Spec(orientation=Orientation.CORONAL, shape=(96, 100, 230), spacing=(2.5, 1.8, 1.5)),
    ],
    ids=["axial", "tilted", "sagittal", "coronal"],
)
def test_every_lesion_of_a_phantom_is_found_where_it_lies(spec: Spec) -> None:
    volume, detections = volume_of(spec), found_in(spec)

    at = np.array([centre(found, volume) for found in detections])
    truth = np.array([lesion.centre for lesion in LESIONS])
    distances = np.linalg.norm(at[:, None] - truth[None], axis=2)  # [detections, lesions]
    assert distances.min(axis=0).max() < 5.0
    assert {found.lesion_type for found in detections} == {LesionType.LUNG}


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


def test_lesions_below_a_score_are_left_out() -> None:
    certain = load().detect(volume_of(Spec()), THRESHOLD)
    assert [(f.offset, f.score) for f in certain] == [(f.offset, f.score) for f in found_in(Spec())]
    assert len(certain) < len(detected(Spec()))


def test_slices_that_come_late_leave_the_lesions_as_they_were() -> None:
    missing, spec = 3, Spec(shape=(62, 256, 256), spacing=(5.0, 1.375, 1.375))
    whole = volume_of(spec)
    affine = whole.affine.copy()
    affine[:3, 3] += missing * affine[:3, 0]
    early = replace(whole, hu=whole.hu[missing:], affine=affine, slices=whole.slices[missing:])

    before, after = load().detect(early), load().detect(whole)

    assert max(found.score for found in before) >= THRESHOLD
    assert [(f.score, np.add(f.offset, (missing, 0, 0)).tolist()) for f in before] == [
        (f.score, list(f.offset)) for f in after
    ]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(before, after, strict=True))


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
