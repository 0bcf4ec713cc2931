"""Straight lines that somebody drew on an image -> pairs that are the two axes of a lesion.

Nothing in graphics and older reports says which two lines belong together; how they lie does.
"""

from __future__ import annotations

from itertools import combinations
from math import asin, degrees
from typing import TYPE_CHECKING, Final

import numpy as np

from plugin.measure import length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Axis

#: Largest deviation from a right angle, degrees. Of the 4,927 bookmarks of DeepLesion's test split
#: all but 40 keep this limit and the next.
LARGEST_TILT: Final = 20.0
#: The lines cross in this inner part of both, as fractions of their length: not at an end, where
#: rulers have their caps.
INNER_PART: Final = (0.05, 0.95)


def pairs(axes: Sequence[Axis], spacing: tuple[float, float]) -> list[tuple[int, int]]:
    """Indices (long axis, short axis) of the lines of one image that belong together.

    Lines are in pixels, rows and columns lie `spacing` mm apart. A line belongs to one pair at
    most: where several could be, those nearest to a right angle are together.
    """
    candidates = sorted(
        (tilt, first, second)
        for first, second in combinations(range(len(axes)), 2)
        if (tilt := _tilt_of_crossing(axes[first], axes[second], spacing)) <= LARGEST_TILT
    )
    taken: set[int] = set()
    found = []
    for _, first, second in candidates:
        if taken.isdisjoint((first, second)):
            taken |= {first, second}
            found.append(_longer_first(first, second, axes, spacing))
    return sorted(found, key=min)


def _longer_first(
    first: int, second: int, axes: Sequence[Axis], spacing: tuple[float, float]
) -> tuple[int, int]:
    if length(axes[first], *spacing) < length(axes[second], *spacing):
        return second, first
    return first, second


def _tilt_of_crossing(one: Axis, other: Axis, spacing: tuple[float, float]) -> float:
    """Deviation from a right angle, degrees; infinite for lines that do not cross inside."""
    (start, along), (other_start, across) = (_start_and_way(line, spacing) for line in (one, other))
    lengths = np.linalg.norm(along) * np.linalg.norm(across)
    matrix = np.stack([along, -across], axis=1)
    if lengths == 0 or abs(np.linalg.det(matrix)) <= np.finfo(float).eps * lengths:
        return float("inf")
    fractions = np.linalg.solve(matrix, other_start - start)
    low, high = INNER_PART
    if not ((fractions >= low) & (fractions <= high)).all():
        return float("inf")
    return degrees(asin(min(1.0, abs(float(along @ across)) / float(lengths))))


def _start_and_way(
    axis: Axis, spacing: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First end, and the way from it to the other one, mm (x, y)."""
    row_mm, column_mm = spacing
    start, end = np.array(axis, np.float64) * (column_mm, row_mm)
    return start, end - start
