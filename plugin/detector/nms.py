"""Boxes, and which of many overlapping candidates to keep. Pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def iou(a: Array, b: Array) -> Array:
    """Intersection over union of each box of `a` with each of `b`.

    Boxes are rows of lower and upper corners: [N, 2 d] and [M, 2 d] -> [N, M].
    """
    half = a.shape[1] // 2
    low = np.maximum(a[:, None, :half], b[None, :, :half])  # [N, M, d]
    high = np.minimum(a[:, None, half:], b[None, :, half:])
    shared = (high - low).clip(min=0).prod(-1)
    sizes = [(boxes[:, half:] - boxes[:, :half]).clip(min=0).prod(-1) for boxes in (a, b)]
    union = sizes[0][:, None] + sizes[1][None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def suppress(centres: Array, radii: Array, scores: Array) -> list[int]:
    """Indices of the candidates to keep, best score first, equal scores in their order.

    A candidate is dropped when its centre [N, d] lies within the radius [N] of a better one that
    is kept: it is another piece of the same lesion.
    """
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        distance = np.linalg.norm(centres[kept] - centres[index], axis=1)
        if not (distance <= radii[kept]).any():
            kept.append(int(index))
    return kept
