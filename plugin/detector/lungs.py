"""Where the lungs are, and where they would be without lesions. Masks are [z, y, x]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator

Mask = NDArray[np.bool_]

#: Less attenuating than this is air or lung, HU.
AIR_HU = -400.0
#: Mean attenuation of a lung, HU; gas in bowel or windpipe lies below.
LUNG_HU = (-960.0, -500.0)
#: Smallest piece of lung worth looking at, ml.
SMALLEST_ML = 80.0
#: Radius of the ball that rolls along the outside of a lung, mm: bays that it does not enter,
#: such as a mass on the chest wall, count as lung.
BALL_MM = 25.0
#: Depths at which left and right lung may come apart, mm.
DEPTHS_MM = (6.0, 9.0, 12.0, 15.0, 18.0)
#: The smaller lung has at least this share of the larger one.
SMALLER_LUNG = 0.15


def lungs(hu: NDArray[np.float32], size: float) -> Mask:
    """Air-filled lung on cubes of `size` mm; all false where there is none.

    Lung that reaches the sides of the field of view is taken for the air around the body.
    """
    air = ndimage.gaussian_filter(hu, 0.5) < AIR_HU
    labels, count = ndimage.label(air & ~_outside(air))
    index = np.arange(1, count + 1)
    millilitres = np.bincount(labels.ravel(), minlength=count + 1)[1:] * size**3 / 1000
    means = ndimage.mean(hu, labels, index) if count else np.empty(0)
    is_lung = (millilitres > SMALLEST_ML) & (means > LUNG_HU[0]) & (means < LUNG_HU[1])
    return np.asarray(np.isin(labels, index[is_lung]))


def closed(lung: Mask, size: float) -> Mask:
    """Lung with vessels, nodules and bays filled, on cubes of `size` mm.

    Left and right lung are closed one by one, lest the mediastinum between them be filled.
    """
    if not lung.any():
        return lung
    (place,) = ndimage.find_objects(lung.astype(np.uint8))
    result = np.zeros_like(lung)
    result[place] = _closed(lung[place], size)
    return result


def _closed(lung: Mask, size: float) -> Mask:
    margin = int(BALL_MM / size) + 2
    # Where the volume ends inside the lung, the lung goes on; an apex is flattened a little.
    padded = np.pad(lung, ((margin, margin), (0, 0), (0, 0)), mode="edge")
    padded = np.pad(padded, ((0, 0), (margin, margin), (margin, margin)))
    result = padded.copy()
    for place, side in _sides(padded, size):
        result[place] |= _closing(side, BALL_MM / size)
    inner = result[margin:-margin, margin:-margin, margin:-margin]
    return np.asarray(ndimage.binary_fill_holes(inner))


def _closing(mask: Mask, radius: float) -> Mask:
    """Closing with a ball, by two distance transforms; `mask` is empty near its borders."""
    swollen = ndimage.distance_transform_edt(~mask) <= radius
    return np.asarray(ndimage.distance_transform_edt(swollen) > radius)


def _sides(lung: Mask, size: float) -> Iterator[tuple[tuple[slice, ...], Mask]]:
    """Left and right lung, or what cannot be parted, without the windpipe between them.

    Each comes with its place in `lung`, wide enough for the ball.
    """
    depth = ndimage.distance_transform_edt(lung) * size
    for cut in DEPTHS_MM:
        seeds, _ = ndimage.label(depth > cut)
        volumes = np.bincount(seeds.ravel())[1:]
        largest = np.flatnonzero(volumes > SMALLER_LUNG * volumes.max(initial=0)) + 1
        if len(largest) > 1:
            break
    found = ndimage.find_objects(seeds)
    for label in largest:
        place = _widened(found[label - 1], int((BALL_MM + cut) / size) + 2, lung.shape)
        from_seed = ndimage.distance_transform_edt(seeds[place] != label) * size
        yield place, np.asarray(lung[place] & (from_seed <= cut + size))


def _widened(place: tuple[slice, ...], margin: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(place, shape, strict=True)
    )


def _outside(air: Mask) -> Mask:
    """Air around the body: what touches the sides of the volume, slice by slice along z."""
    return np.stack([_touching(part) for part in air])


def _touching(air: Mask) -> Mask:
    """Regions of [y, x] that touch its border."""
    labels, _ = ndimage.label(np.pad(air, 1, constant_values=True))
    outside = labels == labels[0, 0]
    return np.asarray(outside[1:-1, 1:-1])
