"""How much a solid place in the lung looks like a lesion. Arrays are [z, y, x]."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.detector.candidates import Candidate, Mask

#: The surroundings of a candidate begin and end this far from it, mm.
SHELL_MM = (0.5, 2.0)


@dataclass(frozen=True)
class Features:
    """What tells a lesion from a vessel, a fold or a rim of the chest wall."""

    #: Largest ball inside, as a share of the volume: 1 for a ball.
    compactness: float
    #: Shortest principal axis as a share of the longest: 1 for a ball.
    flatness: float
    #: Share of the surroundings that lies outside the lung.
    wall: float
    #: Share of the surroundings that is solid lung: vessels that go on.
    attached: float
    #: Radius of the largest ball inside, mm.
    radius: float


def features(candidate: Candidate, solid: Mask, inside: Mask, size: float) -> Features:
    """Describe a candidate on cubes of `size` mm, `inside` being the closed lungs."""
    points = np.argwhere(candidate.mask) * size
    volume = len(points) * size**3
    # Half a voxel is how far a single one reaches to each side.
    axes = np.sqrt(np.linalg.eigvalsh(np.cov(points.T) + np.eye(3) * size**2 / 12))
    place, shell = _surroundings(candidate, inside.shape, size)
    return Features(
        compactness=4 / 3 * pi * candidate.radius**3 / volume,
        flatness=float(axes[0] / axes[2]),
        wall=float((~inside[place])[shell].mean()),
        attached=float(solid[place][shell].mean()),
        radius=candidate.radius,
    )


def likeness(found: Features) -> float:
    """Certainty that a candidate is a lesion, 0 to 1.

    Logistic regression, fitted to the candidates of LIDC-IDRI nodules and whole chests.
    """
    evidence = (
        2.24
        + 0.63 * log(found.compactness)
        + 4.43 * log(found.flatness)
        + 6.57 * found.wall
        - 22.78 * found.attached
        + 3.58 * log(found.radius)
        - 7.93 * found.wall * log(found.radius)
    )
    return 1 / (1 + exp(-evidence))


def _surroundings(
    candidate: Candidate, shape: tuple[int, ...], size: float
) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    """A shell around a candidate, and the place of its bounding box on the grid."""
    margin = int(SHELL_MM[1] / size) + 1
    place = tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(candidate.place, shape, strict=True)
    )
    mask = np.zeros([s.stop - s.start for s in place], bool)
    inner = tuple(
        slice(s.start - p.start, s.stop - p.start)
        for s, p in zip(candidate.place, place, strict=True)
    )
    mask[inner] = candidate.mask
    distance = ndimage.distance_transform_edt(~mask) * size
    return place, (distance > SHELL_MM[0]) & (distance <= SHELL_MM[1])
