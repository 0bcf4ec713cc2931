"""The coarse type of a lesion whose bookmark does not tell it: from its surroundings and place.

Lung and cortical bone show in the pixels around the lesion. The other types are told by the place
in the body alone: by the normal distribution of the places of each type in DeepLesion's official
test split (4,927 lesions). A guess, and marked as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.bookmark import LesionType
from plugin.datasets.harvested.body import LUNG_HU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Axis

#: Attenuation above that of vessels with contrast: cortical bone, HU.
CORTICAL_HU = 400.0
#: Surroundings reach this far beyond the axes, mm.
RING_MM = 6.0
#: Share of lung around a lesion of the lung, and of bone in and around one of bone.
LUNG_SHARE, BONE_SHARE = 0.35, 0.2
#: Standard deviation of the z that landmarks give, added to that of the places.
Z_ERROR = 0.03


@dataclass(frozen=True)
class _Places:
    """Where the lesions of one type lie, on DeepLesion's scale."""

    #: Mean x, y, z.
    mean: tuple[float, float, float]
    #: Standard deviation of x, y, z.
    deviation: tuple[float, float, float]
    #: Correlation of x and y, of x and z, and of y and z.
    correlation: tuple[float, float, float]
    #: Share of all lesions.
    share: float

    def log_likelihood(self, place: NDArray[np.float64]) -> float:
        """Of a lesion of this type in a place, up to what all types have in common."""
        xy, xz, yz = self.correlation
        correlation = np.array([[1, xy, xz], [xy, 1, yz], [xz, yz, 1]])
        covariance = correlation * np.outer(self.deviation, self.deviation)
        covariance[2, 2] += Z_ERROR**2
        away = place - self.mean
        spread = np.linalg.slogdet(covariance)[1]
        return float(np.log(self.share) - (spread + away @ np.linalg.solve(covariance, away)) / 2)


#: Of the types that neither lung nor bone around a lesion shows.
PLACES = {
    LesionType.ABDOMEN: _Places(
        (0.535, 0.496, 0.642), (0.130, 0.101, 0.040), (0.13, -0.18, -0.33), 0.238
    ),
    LesionType.MEDIASTINUM: _Places(
        (0.496, 0.450, 0.445), (0.088, 0.098, 0.056), (0.01, -0.13, 0.13), 0.175
    ),
    LesionType.LIVER: _Places(
        (0.306, 0.469, 0.602), (0.126, 0.130, 0.031), (-0.42, -0.21, 0.04), 0.142
    ),
    LesionType.KIDNEY: _Places(
        (0.511, 0.606, 0.657), (0.214, 0.080, 0.027), (0.04, -0.14, -0.46), 0.047
    ),
    LesionType.SOFT_TISSUE: _Places(
        (0.486, 0.444, 0.569), (0.268, 0.167, 0.227), (0.06, -0.10, -0.16), 0.069
    ),
    LesionType.PELVIS: _Places(
        (0.472, 0.486, 0.796), (0.108, 0.106, 0.044), (0.21, 0.04, 0.19), 0.083
    ),
}


def estimate(
    hu: NDArray[np.float32],
    axes: tuple[Axis, Axis],
    pixel_mm: float,
    place: Sequence[float] | None,
) -> LesionType | None:
    """The type of a lesion in its key slice [row, column], HU; None where nothing tells it.

    `place` is (x, y, z) in the body, 0 to 1; None where it is unknown.
    """
    inside, ring = _surroundings(hu, axes, pixel_mm)
    everything = np.concatenate([inside, ring])
    if (everything > CORTICAL_HU).mean() > BONE_SHARE:
        return LesionType.BONE
    if len(ring) and ((ring > LUNG_HU[0]) & (ring < LUNG_HU[1])).mean() > LUNG_SHARE:
        return LesionType.LUNG
    return None if place is None else by_place(place)


def by_place(place: Sequence[float]) -> LesionType:
    """The likeliest of the types in `PLACES` for a place (x, y, z) in the body."""
    at = np.array(place)
    return max(PLACES, key=lambda each: PLACES[each].log_likelihood(at))


def _surroundings(
    hu: NDArray[np.float32], axes: tuple[Axis, Axis], pixel_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixels in the ellipse around two axes, and those in a ring around it, HU."""
    points = np.array(axes)  # [axis, end, (column, row)]
    middle = points.mean(axis=(0, 1))
    along, across = points[:, 1] - points[:, 0]
    halves = [max(float(np.linalg.norm(axis)) / 2, 0.5) for axis in (along, across)]
    along = along / np.linalg.norm(along)
    rows, columns = np.indices(hu.shape)
    away = np.stack([columns, rows], axis=-1) - middle
    u, v = away @ along, away @ np.array([-along[1], along[0]])
    reach = RING_MM / pixel_mm
    inner = np.hypot(u / halves[0], v / halves[1]) <= 1
    outer = np.hypot(u / (halves[0] + reach), v / (halves[1] + reach)) <= 1
    return hu[inner], hu[outer & ~inner]
