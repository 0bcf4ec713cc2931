"""The shipped weights on real chests that are no part of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugin.detector.learned import LearnedDetector, shipped
from plugin.detector.nms import iou
from plugin.measure import Measurement, measure
from plugin.volume import Volume, read

if TYPE_CHECKING:
    from pathlib import Path

#: Four readers' boxes of the nodule of LIDC-IDRI-0001 in its key slice, their median, in pixels.
BOX = (298.0, 341.5, 334.5, 385.0)
#: Mean of the four readers' long axes, mm.
LONG_MM = 32.8


@pytest.fixture(scope="module")
def detector() -> LearnedDetector:
    return shipped()


def _best(detector: LearnedDetector, volume: Volume) -> tuple[float, Measurement]:
    best = max(detector.detect(volume), key=lambda found: found.score)
    return best.score, measure(best.mask, best.offset, volume)


def _overlap(box: tuple[float, ...]) -> float:
    edges = np.array([[*each[:2], each[2] + 1, each[3] + 1] for each in (box, BOX)])
    return float(iou(edges[:1], edges[1:])[0, 0])


def test_the_nodule_of_a_real_chest_comes_first_and_is_measured(
    detector: LearnedDetector, data: Path
) -> None:
    volume = read((data / "series" / "LIDC-IDRI-0001").iterdir())
    score, measured = _best(detector, volume)
    assert score > 0.5
    assert 86 <= measured.slice_index <= 93
    assert _overlap(measured.box) >= 0.5
    assert measured.diameters.long_axis_mm == pytest.approx(LONG_MM, abs=4.0)


def test_the_same_chest_gives_the_same_lesions(detector: LearnedDetector, data: Path) -> None:
    volume = read((data / "series" / "LIDC-IDRI-0003-part").iterdir())
    first, second = detector.detect(volume), detector.detect(volume)
    assert first
    assert [(f.score, f.offset) for f in first] == [(f.score, f.offset) for f in second]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first, second, strict=True))


def test_a_series_without_lungs_gives_nothing(detector: LearnedDetector) -> None:
    hu = np.full((40, 128, 128), -1000.0, np.float32)
    hu[:, 16:112, 16:112] = 40.0
    affine = np.eye(4)[[2, 1, 0, 3]] * np.array([2.5, 2.0, 2.0, 1.0])
    assert detector.detect(Volume(hu, affine, (), ())) == []
