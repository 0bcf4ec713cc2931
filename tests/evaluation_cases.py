"""A detector that is told what to find, and cases that it can be judged on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from plugin.bookmark import LesionType
from plugin.detector import Detection
from plugin.evaluation.cases import Case, KeyMark, Truth
from plugin.volume import Slice, Volume

#: Of the volume below: (slice, row, column) and mm.
SHAPE, SPACING = (12, 64, 64), (2.0, 1.0, 1.0)


@dataclass(frozen=True)
class Told:
    """Finds what it was told, whatever the volume."""

    detections: list[Detection] = field(default_factory=list)
    version: str = "told 1"

    def detect(self, volume: Volume) -> list[Detection]:
        assert volume.hu.ndim == 3
        return self.detections


def block(
    score: float, low: tuple[int, int, int], size: tuple[int, int, int] = (3, 8, 8)
) -> Detection:
    """A detection that fills a block of voxels from `low` on."""
    return Detection(np.ones(size, bool), low, score, LesionType.LUNG)


def volume() -> Volume:
    """Air, with its first voxel at the origin."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = SPACING
    affine[3, 3] = 1.0
    slices = tuple(Slice(f"1.2.{index}", None) for index in range(SHAPE[0]))
    return Volume(np.full(SHAPE, -1000, np.float32), affine, slices, ())


def truth(
    centre: tuple[float, float, float],
    long_mm: float = 10.0,
    lesion_type: str = "lung",
    key: KeyMark | None = None,
) -> Truth:
    """A lesion whose centre is given in voxels (slice, row, column)."""
    z, y, x = np.multiply(centre, SPACING)
    return Truth(np.array([x, y, z]), long_mm, (long_mm, 6.0), lesion_type, key)


def case(name: str, *truths: Truth, unit: str = "") -> Case:
    return Case(name, unit or name, volume, lambda _: truths)
