"""A chest that nobody has: known lesions in textured lungs, in any orientation.

Anatomy is described in mm in LPS patient coordinates with its origin in the middle of the chest,
and is sampled where the slices lie; edges are blended over the width of a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from plugin.datasets.ct_image import Identity, ct_images

if TYPE_CHECKING:
    from pathlib import Path

Array = NDArray[np.float32]
Triple = tuple[float, float, float]

#: Attenuation of what the chest is made of, HU.
AIR, LUNG, FAT, MUSCLE, BLOOD, BONE = -1000.0, -850.0, -90.0, 45.0, 60.0, 350.0
#: Standard deviation of the noise, HU.
NOISE = 18.0
#: Half the width of body and lungs along (x, y, z), mm; the body goes on in z.
BODY, LUNGS = (160.0, 112.0, 1e6), (58.0, 80.0, 78.0)
#: Distance of the middle of each lung from the middle of the chest, mm.
LUNG_X = 72.0
#: Vessels tried on each side; those that come too near to others are left out.
VESSELS = 30
#: Radius at the end of a vessel, and distance of the spheres it is drawn with, mm.
TIP_MM, BEAD_MM = 0.8, 1.2
#: Vessels keep this far from the surface of a lesion and, in the lung, from each other, mm: where
#: two cross they look like a nodule.
CLEARANCE_MM = 6.0
#: Width of an edge, mm.
EDGE_MM = 1.4


class Orientation(StrEnum):
    """How the slices lie."""

    AXIAL = "axial"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"


#: Direction of rows (increasing column) and of columns (increasing row) in LPS.
DIRECTIONS: dict[Orientation, tuple[Triple, Triple]] = {
    Orientation.AXIAL: ((1, 0, 0), (0, 1, 0)),
    Orientation.SAGITTAL: ((0, 1, 0), (0, 0, -1)),
    Orientation.CORONAL: ((1, 0, 0), (0, 0, -1)),
}


@dataclass(frozen=True)
class Lesion:
    """A solid ellipsoid, and the truth about it."""

    #: Centre, mm in LPS patient coordinates (x, y, z).
    centre: Triple
    #: Diameters along x, y and z, mm.
    diameters: Triple
    #: Attenuation, HU.
    hu: float = 40.0


#: Spheres, an ellipsoid, and one of 22 mm against the chest wall (the last).
LESIONS = (
    Lesion((-82.0, 12.0, 20.0), (8.0, 8.0, 8.0)),
    Lesion((88.0, -30.0, -18.0), (12.0, 12.0, 12.0)),
    Lesion((-70.0, -35.0, -30.0), (24.0, 15.0, 15.0)),
    Lesion((85.0, 30.0, -30.0), (6.0, 6.0, 6.0)),
    Lesion((72.0, 68.5, 10.0), (22.0, 22.0, 22.0)),
)


@dataclass(frozen=True)
class Spec:
    """What to draw. The same spec gives the same instances under the same UIDs."""

    #: Known lesions; none for a normal chest.
    lesions: tuple[Lesion, ...] = LESIONS
    #: Slices, rows, columns.
    shape: tuple[int, int, int] = (70, 256, 256)
    #: Distance of slices, rows and columns, mm. Tilted slices keep this distance along the table.
    spacing: Triple = (2.5, 1.375, 1.375)
    #: How the slices lie.
    orientation: Orientation = Orientation.AXIAL
    #: Gantry tilt, degrees: slices lean, the table still moves along z.
    tilt: float = 0.0
    #: Noise and vessels.
    seed: int = 1
    #: Patient's Name and Patient ID.
    patient: tuple[str, str] = ("PHANTOM^LESIONMARK", "LESIONMARK-PHANTOM")


def make(folder: Path, spec: Spec | None = None) -> tuple[Lesion, ...]:
    """Write the series of a spec into a folder, one PS3.10 file a slice; returns the truth."""
    spec = spec or Spec()
    folder.mkdir(parents=True, exist_ok=True)
    identity = Identity(*spec.patient, seed=repr(spec), description="Chest phantom, no patient")
    for dataset in ct_images(attenuation(spec), affine(spec), identity):
        path = folder / f"{dataset.InstanceNumber:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
    return spec.lesions


def affine(spec: Spec) -> NDArray[np.float64]:
    """(slice, row, column, 1) -> mm in LPS, [4, 4]; slices ascend along their normal."""
    right, down = (np.array(direction) for direction in DIRECTIONS[spec.orientation])
    shift = np.cross(right, down)
    angle = np.radians(spec.tilt)
    leaning = down * np.cos(angle) + shift * np.sin(angle)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([shift, leaning, right], axis=1) * spec.spacing
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(spec.shape) - 1) / 2)
    return matrix


def attenuation(spec: Spec) -> Array:
    """The chest of a spec in HU, [slice, row, column]."""
    random = np.random.default_rng(spec.seed)
    matrix = affine(spec)
    hu = np.stack([_background(_points(matrix, spec.shape, k)) for k in range(spec.shape[0])])
    beads = [bead for vessel in _vessels(random, spec.lesions) for bead in _beads(*vessel)]
    for ellipsoid in (*beads, *spec.lesions):
        _draw(hu, matrix, ellipsoid)
    return hu + _noise(random, spec.shape)


def _points(matrix: NDArray[np.float64], shape: tuple[int, int, int], k: int) -> Array:
    """Where the pixels of slice k lie, mm in LPS, [3, row, column]."""
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    indices = np.stack([np.full_like(rows, k), rows, columns, np.ones_like(rows)])
    return np.asarray(np.einsum("ij,jrc->irc", matrix[:3], indices), np.float32)


def _background(at: Array) -> Array:
    """Body wall, ribs, spine, heart, great airway and lungs at points [3, row, column], HU."""
    x, y, z = at
    body = _norm(at, (0, 0, 0), BODY)
    hu: Array = np.full_like(x, AIR)
    hu[body < 1] = FAT
    hu[body < 0.94] = MUSCLE
    ribs = (body > 0.86) & (body < 0.92) & ((z + 0.35 * y) % 24 < 8) & (np.abs(x) > 25)
    hu[ribs] = BONE
    hu[np.hypot(x, y - 82) < 17] = BONE
    hu[np.hypot(x, y - 96) < 7] = MUSCLE
    edge = np.minimum(_norm(at, (-LUNG_X, 0, 0), LUNGS), _norm(at, (LUNG_X, 0, 0), LUNGS))
    lung = np.clip((1 - edge) * LUNGS[0] + 0.5, 0, 1)
    lung[_norm(at, (25, -30, -45), (50, 45, 45)) < 1] = 0
    hu += lung * (LUNG - hu)
    hu[(np.hypot(x, y - 5) < 8) & (z > 25)] = AIR
    return hu


def _norm(at: Array, centre: Triple, half: Triple) -> Array:
    """Distance from a centre in units of the half widths: 1 on the surface of an ellipsoid."""
    squares = [((p - c) / h) ** 2 for p, c, h in zip(at, centre, half, strict=True)]
    return np.asarray(np.sqrt(sum(squares[1:], squares[0])))


def _vessels(
    random: np.random.Generator, lesions: tuple[Lesion, ...]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float]]:
    """Start, end and first radius of straight vessels, mm, that stay clear of lesions."""
    vessels: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = []
    for side in [-1.0, 1.0] * VESSELS:
        start = np.array([side * 8.0, *random.uniform((-25, -40), (25, 40))])
        direction = random.normal(size=3) * (0.3, 0.6, 0.6) + (side, 0.0, 0.0)
        end = start + direction / np.linalg.norm(direction) * random.uniform(60, 100)
        apart = all(_apart(start, end, *other) for *other, _ in vessels)
        if apart and all(_clear(start, end, lesion) for lesion in lesions):
            vessels.append((start, end, random.uniform(1.5, 2.8)))
    return vessels


def _apart(*ends: NDArray[np.float64]) -> bool:
    """Whether two straight vessels, given by their ends, keep apart once in the lung."""
    start, end, other_start, other_end = ends
    fractions = np.linspace(0.1, 1, 40)[:, None]
    one, other = (
        start + fractions * (end - start),
        other_start + fractions * (other_end - other_start),
    )
    return bool(np.linalg.norm(one[:, None] - other[None], axis=2).min() > CLEARANCE_MM)


def _clear(start: NDArray[np.float64], end: NDArray[np.float64], lesion: Lesion) -> bool:
    """Whether a straight vessel passes at a distance from a lesion."""
    centre = np.array(lesion.centre)
    along = end - start
    nearest = start + np.clip((centre - start) @ along / (along @ along), 0, 1) * along
    return bool(np.linalg.norm(nearest - centre) > max(lesion.diameters) / 2 + CLEARANCE_MM)


def _beads(start: NDArray[np.float64], end: NDArray[np.float64], radius: float) -> list[Lesion]:
    """A vessel that tapers to its tip, as a row of spheres."""
    fractions = np.linspace(0, 1, int(np.linalg.norm(end - start) / BEAD_MM))
    beads = []
    for fraction in fractions:
        x, y, z = (start + fraction * (end - start)).tolist()
        width = 2 * (radius + fraction * (TIP_MM - radius))
        beads.append(Lesion((x, y, z), (width, width, width), BLOOD))
    return beads


def _draw(hu: Array, matrix: NDArray[np.float64], ellipsoid: Lesion) -> None:
    """Raise `hu` [slice, row, column] to an ellipsoid's attenuation, blended at its edge."""
    reach = max(ellipsoid.diameters) / 2 + 2 * EDGE_MM
    inverse = np.linalg.inv(matrix)
    middle = inverse[:3, :3] @ ellipsoid.centre + inverse[:3, 3]
    extent = np.linalg.norm(inverse[:3, :3], axis=1) * reach
    low = np.maximum(np.floor(middle - extent), 0).astype(int)
    high = np.minimum(np.ceil(middle + extent) + 1, hu.shape).astype(int)
    if (high <= low).any():
        return
    part = hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    indices = np.indices(part.shape) + low[:, None, None, None]
    at = np.einsum("ij,jzrc->izrc", matrix[:3, :3], indices) + matrix[:3, 3, None, None, None]
    x, y, z = (diameter / 2 for diameter in ellipsoid.diameters)
    outside = (_norm(at, ellipsoid.centre, (x, y, z)) - 1) * min(x, y, z)  # mm, near the surface
    weight = np.clip(0.5 - outside / EDGE_MM, 0, 1)
    np.maximum(part, part + weight * (ellipsoid.hu - part), out=part)


def _noise(random: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    """Noise with the grain of a soft reconstruction kernel, [slice, row, column], HU."""
    grain = ndimage.gaussian_filter(random.standard_normal(shape, np.float32), (0, 0.8, 0.8))
    return np.asarray(grain * np.float32(NOISE / grain.std()))
