"""Free-response operating characteristic: sensitivity against false positives a scan.

Pure functions. A finding that meets a lesion which a better finding has already met counts
neither as a hit nor as a false positive, in both rules (LUNA16, DeepLesion).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plugin.detector.nms import iou

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]

#: False positives a scan at which LUNA16 reads the sensitivity.
LUNA16_POINTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: False positives an image at which DeepLesion's papers read it.
DEEPLESION_POINTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
#: Least overlap of boxes of a hit in DeepLesion.
DEEPLESION_IOU = 0.5


@dataclass(frozen=True)
class Scan:
    """What a detector said about one scan (or key slice), against the truth."""

    #: Best score with which each lesion was hit; minus infinity where it was missed.
    hits: tuple[float, ...]
    #: Scores of the findings that met no lesion.
    false_positives: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """Points of a FROC curve, from the highest threshold to the lowest."""

    #: False positives a scan, not falling.
    false_positives: Array
    #: Share of the lesions that are hit, not falling.
    sensitivity: Array


def match(meets: NDArray[np.bool_], scores: Sequence[float]) -> Scan:
    """Compare findings with lesions; `meets` [findings, lesions] says which finding meets which."""
    values = np.asarray(scores, np.float64)
    hits = np.where(meets, values[:, None], -np.inf).max(axis=0, initial=-np.inf)
    missed = values[~meets.any(axis=1)]
    return Scan(tuple(map(float, hits)), tuple(map(float, missed)))


def meets_luna16(centres: Array, lesions: Array, diameters: Array) -> NDArray[np.bool_]:
    """LUNA16: the centre [N, 3] lies within the radius of the lesion [M, 3], all in mm."""
    distance = np.linalg.norm(centres[:, None] - lesions[None], axis=-1)  # [N, M]
    return np.asarray(distance < diameters[None] / 2)


def meets_deeplesion(boxes: Array, lesions: Array) -> NDArray[np.bool_]:
    """DeepLesion: boxes [N, 4] and [M, 4] on a key slice overlap with an IoU of 0.5 or more."""
    return np.asarray(iou(boxes, lesions) >= DEEPLESION_IOU)


def curve(positives: Sequence[Scan], negatives: Sequence[Scan]) -> Curve:
    """Sensitivity on `positives` against false positives a scan on `negatives`.

    The two are the same scans where every lesion of a scan is marked. Raises ValueError
    without any lesion or any scan to count false positives on.
    """
    hits = np.array([score for scan in positives for score in scan.hits])
    wrong = np.array([score for scan in negatives for score in scan.false_positives])
    if not len(hits) or not negatives:
        raise ValueError("no lesion, or no scan to count false positives on")
    thresholds = np.unique(np.concatenate([hits[np.isfinite(hits)], wrong]))[::-1]
    return Curve(
        np.array([(wrong >= t).sum() / len(negatives) for t in thresholds]),
        np.array([(hits >= t).mean() for t in thresholds]),
    )


def sensitivity_at(curve: Curve, points: Sequence[float]) -> list[float]:
    """Sensitivity at numbers of false positives a scan: of the last threshold that keeps to it."""
    count = np.searchsorted(curve.false_positives, np.asarray(points) + 1e-9, side="right")
    reached = np.concatenate([[0.0], curve.sensitivity])
    return [float(value) for value in reached[count]]


def threshold_at(negatives: Sequence[Scan], point: float) -> float:
    """The lowest threshold that lets no more than `point` false positives a scan through."""
    wrong = sorted((s for scan in negatives for s in scan.false_positives), reverse=True)
    allowed = int(point * len(negatives) + 1e-9)
    return float(np.nextafter(wrong[allowed], np.inf)) if allowed < len(wrong) else 0.0


def bootstrap(
    positives: Sequence[Scan],
    negatives: Sequence[Scan],
    points: Sequence[float],
    rounds: int = 1000,
    seed: int = 0,
) -> list[tuple[float, float]]:
    """95 % intervals of `sensitivity_at`, scans drawn with replacement.

    Where `positives` are `negatives`, the same scans are drawn for both.
    """
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(rounds):
        drawn = _draw(positives, rng)
        other = drawn if positives is negatives else _draw(negatives, rng)
        if any(scan.hits for scan in drawn):
            values.append(sensitivity_at(curve(drawn, other), points))
    low, high = np.percentile(np.array(values), [2.5, 97.5], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _draw(scans: Sequence[Scan], rng: np.random.Generator) -> list[Scan]:
    return [scans[i] for i in rng.integers(len(scans), size=len(scans))]
