"""Free-response operating characteristic: sensitivity against false positives a scan.

Pure functions. The rules of LUNA16 (Setio et al. 2017) and DeepLesion (Yan et al. 2018) differ in
what meets a lesion and in what a "scan" is (there a series, here a key slice). In both a lesion
counts once, with its best finding; further findings on it count neither as hits nor as false
positives; one finding may hit two lesions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plugin.detector.nms import iou

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: False positives a scan at which LUNA16 reads the sensitivity.
LUNA16_POINTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: False positives an image at which DeepLesion's papers read it.
DEEPLESION_POINTS = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Least overlap of boxes of a hit in DeepLesion.
DEEPLESION_IOU = 0.5
#: Score of a lesion that nothing met.
MISSED = float("-inf")
#: Rounding allowed in a number of false positives.
_EPSILON = 1e-9


@dataclass(frozen=True)
class Scan:
    """What a detector said about one scan (or key slice), against the truth."""

    #: Best score with which each lesion was hit; MISSED where it was not.
    hits: tuple[float, ...]
    #: Scores of the findings that met no lesion.
    false_positives: tuple[float, ...]
    #: What is drawn as a whole when intervals are estimated: the patient, or the scan.
    unit: str = ""


@dataclass(frozen=True)
class Evidence:
    """Lesions and false positives of many scans, each with the unit that it came from."""

    #: Best score of each lesion, [lesions]; MISSED where it was not hit.
    hits: Array
    #: Index of its unit, [lesions].
    hit_units: Indices
    #: Score of each false positive, [false positives], falling.
    wrong: Array
    #: Index of its unit, [false positives].
    wrong_units: Indices
    #: Index of the unit of each scan on which false positives were counted, [scans].
    scan_units: Indices
    #: For each unit, whether it was looked at for its lesions, [units].
    marked: NDArray[np.bool_]

    def of(self, lesions: NDArray[np.bool_]) -> Evidence:
        """The same with some of the lesions."""
        return replace(self, hits=self.hits[lesions], hit_units=self.hit_units[lesions])

    def once(self) -> Indices:
        """Every unit drawn once: the sample itself."""
        return np.ones(len(self.marked), np.intp)


@dataclass(frozen=True)
class Curve:
    """Points of a FROC curve, from the highest threshold to the lowest."""

    #: Least score of a finding that counts, falling.
    thresholds: Array
    #: False positives a scan, not falling.
    false_positives: Array
    #: Share of the lesions that are hit, not falling.
    sensitivity: Array


def match(
    meets: NDArray[np.bool_],
    scores: Sequence[float],
    unit: str = "",
    excused: NDArray[np.bool_] | None = None,
) -> Scan:
    """Compare findings with lesions; `meets` [findings, lesions] says which finding meets which.

    `excused` [findings] says which are no false positives although they may meet no lesion.
    """
    values = np.asarray(scores, np.float64)
    hits = np.where(meets, values[:, None], MISSED).max(axis=0, initial=MISSED)
    wrong = ~meets.any(axis=1)
    if excused is not None:
        wrong &= ~excused
    return Scan(tuple(map(float, hits)), tuple(map(float, values[wrong])), unit)


def meets_luna16(centres: Array, lesions: Array, diameters: Array) -> NDArray[np.bool_]:
    """LUNA16: the centre [N, 3] lies within the radius of the lesion [M, 3], all in mm."""
    distance = np.linalg.norm(centres[:, None] - lesions[None], axis=-1)  # [N, M]
    return np.asarray(distance < diameters[None] / 2)


def meets_deeplesion(boxes: Array, lesions: Array) -> NDArray[np.bool_]:
    """DeepLesion: boxes [N, 4] and [M, 4] on a key slice overlap with an IoU of 0.5 or more."""
    return np.asarray(iou(boxes, lesions) >= DEEPLESION_IOU)


def gather(marked: Sequence[Scan], counted: Sequence[Scan]) -> Evidence:
    """The lesions of the scans `marked`, and the false positives of the scans `counted`.

    The two are the same where every lesion of a scan is marked. Raises ValueError without any
    lesion or any scan to count false positives on.
    """
    if not counted or not any(scan.hits for scan in marked):
        raise ValueError("no lesion, or no scan to count false positives on")
    names = sorted({scan.unit for scan in (*marked, *counted)})
    index = {name: i for i, name in enumerate(names)}
    wrong, wrong_units = _flat([(s.false_positives, index[s.unit]) for s in counted])
    falling = np.argsort(-wrong, kind="stable")
    hits, hit_units = _flat([(s.hits, index[s.unit]) for s in marked])
    return Evidence(
        hits=hits,
        hit_units=hit_units,
        wrong=wrong[falling],
        wrong_units=wrong_units[falling],
        scan_units=np.array([index[s.unit] for s in counted], np.intp),
        marked=np.isin(names, [scan.unit for scan in marked]),
    )


def curve(evidence: Evidence) -> Curve:
    """Sensitivity against false positives a scan, one point for each score that occurs."""
    hit = evidence.hits > MISSED
    thresholds = np.unique(np.concatenate([evidence.hits[hit], evidence.wrong]))[::-1]
    return Curve(
        thresholds,
        _reached(evidence.wrong, thresholds) / len(evidence.scan_units),
        _reached(evidence.hits, thresholds) / len(evidence.hits),
    )


def thresholds_at(
    evidence: Evidence, points: Sequence[float], drawn: Indices | None = None
) -> Array:
    """The score that a finding must exceed to let at most so many false positives a scan through.

    `drawn` [units] says how often each unit counts; MISSED where every finding may count.
    """
    counts = evidence.once() if drawn is None else drawn
    passed = np.cumsum(counts[evidence.wrong_units])
    allowed = np.asarray(points) * counts[evidence.scan_units].sum() + _EPSILON
    first_too_many = np.searchsorted(passed, allowed, side="right")
    return np.asarray(np.append(evidence.wrong, MISSED)[first_too_many])


def sensitivity_at(
    evidence: Evidence, points: Sequence[float], drawn: Indices | None = None
) -> Array:
    """Share of the lesions that is hit at numbers of false positives a scan, [points].

    The curve is read as a staircase, before the false positive that is one too many; it is
    never interpolated upwards. NaN where no lesion is drawn.
    """
    counts = evidence.once() if drawn is None else drawn
    weights = counts[evidence.hit_units].astype(np.float64)
    hit = evidence.hits > thresholds_at(evidence, points, counts)[:, None]  # [points, lesions]
    total = weights.sum()
    return np.asarray(hit @ weights / total) if total else np.full(len(points), np.nan)


def _flat(groups: Sequence[tuple[Sequence[float], int]]) -> tuple[Array, Indices]:
    """Values of many units as one array, and the unit of each."""
    values = [value for scores, _ in groups for value in scores]
    units = [unit for scores, unit in groups for _ in scores]
    return np.array(values, np.float64), np.array(units, np.intp)


def _reached(scores: Array, thresholds: Array) -> Array:
    """How many of the scores reach each threshold."""
    rising = np.sort(scores)
    return len(rising) - np.searchsorted(rising, thresholds, side="left").astype(np.float64)
