"""Run a detector over cases by the path that ships, and compare what it finds with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from plugin.datasets.deeplesion import drawn_box
from plugin.errors import UnsuitableSeries
from plugin.evaluation.froc import MISSED, Scan, match, meets_deeplesion, meets_luna16
from plugin.measure import diameters, largest_region, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from plugin.detector import Detection, Detector
    from plugin.evaluation.cases import Case, KeyMark, Truth
    from plugin.volume import Volume

    Rule = Callable[[Case, Sequence[Detection], Sequence[Truth], Volume], "Verdict"]


@dataclass(frozen=True)
class Finding:
    """One lesion as the detector and the measurement report it."""

    #: Certainty, 0 to 1.
    score: float
    #: Long and short axis, mm.
    axes_mm: tuple[float, float]
    #: Place among all findings of the case, from 1.
    rank: int


@dataclass(frozen=True)
class Meeting:
    """A lesion and the best finding that meets it."""

    #: The case.
    name: str
    #: What is drawn as a whole for intervals.
    unit: str
    #: The lesion.
    truth: Truth
    #: None where it was missed.
    finding: Finding | None
    #: Findings of the case.
    findings: int

    @property
    def score(self) -> float:
        """Score with which it was hit, or MISSED."""
        return MISSED if self.finding is None else self.finding.score


@dataclass(frozen=True)
class Verdict:
    """What came of one case."""

    #: Name of the case.
    name: str
    #: For the FROC curve: the series, or each of its key slices.
    scans: tuple[Scan, ...]
    #: One for each lesion, in the order of the scans and their hits.
    meetings: tuple[Meeting, ...]


def judge(detector: Detector, case: Case, rule: Rule) -> Verdict:
    """Find the lesions of a case and compare them with the marked ones.

    Raises UnsuitableSeries naming the case.
    """
    try:
        volume = case.volume()
    except UnsuitableSeries as error:
        raise UnsuitableSeries(f"{case.name}: {error}") from error
    detections = sorted(detector.detect(volume), key=lambda each: -each.score)
    return rule(case, detections, case.truths(volume), volume)


def by_luna16(
    case: Case, detections: Sequence[Detection], truths: Sequence[Truth], volume: Volume
) -> Verdict:
    """LUNA16's rule; `detections` best score first."""
    findings = [_whole(found, rank, volume) for rank, found in enumerate(detections, start=1)]
    centres = np.array([centre(found, volume) for found in detections]).reshape(-1, 3)
    excused = np.asarray(_within(centres, case.irrelevant(volume)).any(axis=1))
    image = _Image(findings, truths, _within(centres, truths), excused)
    return _verdict(case, [image], len(detections))


def by_deeplesion(
    case: Case, detections: Sequence[Detection], truths: Sequence[Truth], volume: Volume
) -> Verdict:
    """DeepLesion's rule: each key slice is an image, and what does not reach it is not on it.

    Findings are measured on the key slice; their box is drawn as DeepLesion draws its boxes.
    """
    images = []
    marks = [(truth.key, truth) for truth in truths if truth.key is not None]
    by_image = sorted(marks, key=lambda mark: mark[0].slice_index)
    for index, group in groupby(by_image, key=lambda mark: mark[0].slice_index):
        keys, lesions = zip(*group, strict=True)
        findings, boxes = _on_slice(detections, index, volume)
        images.append(_Image(findings, lesions, meets_deeplesion(boxes, _boxes(keys))))
    return _verdict(case, images, len(detections))


def centre(found: Detection, volume: Volume) -> NDArray[np.float64]:
    """Centre of the voxels of a detection, mm in LPS patient coordinates (x, y, z)."""
    return volume.to_patient(np.argwhere(found.mask).mean(axis=0) + found.offset)


def _whole(found: Detection, rank: int, volume: Volume) -> Finding:
    measured = measure(found.mask, found.offset, volume).diameters
    return Finding(found.score, (measured.long_axis_mm, measured.short_axis_mm), rank)


def _on_slice(
    detections: Sequence[Detection], index: int, volume: Volume
) -> tuple[list[Finding], NDArray[np.float64]]:
    """What reaches a slice, measured there, with boxes [findings, 4] in pixels."""
    _, row_mm, column_mm = volume.spacing
    findings, boxes = [], []
    for rank, found in enumerate(detections, start=1):
        z, y, x = found.offset
        if z <= index < z + len(found.mask) and found.mask[index - z].any():
            region = largest_region(found.mask[index - z])
            measured = diameters(region, row_mm, column_mm)
            axes = measured.long_axis_mm, measured.short_axis_mm
            findings.append(Finding(found.score, axes, rank))
            box = drawn_box(measured.long_axis, measured.short_axis)
            boxes.append(np.add(box, (x, y, x, y)))
    return findings, np.array(boxes).reshape(-1, 4)


def _boxes(keys: Sequence[KeyMark]) -> NDArray[np.float64]:
    return np.array([key.box for key in keys], np.float64).reshape(-1, 4)


def _within(centres: NDArray[np.float64], truths: Sequence[Truth]) -> NDArray[np.bool_]:
    """Which centre [findings, 3], mm, lies in which lesion, [findings, lesions]."""
    places = np.array([truth.centre for truth in truths]).reshape(-1, 3)
    return meets_luna16(centres, places, np.array([truth.diameter_mm for truth in truths]))


@dataclass(frozen=True)
class _Image:
    """What was found on one series or key slice, and what is there."""

    #: Best score first.
    findings: Sequence[Finding]
    truths: Sequence[Truth]
    #: Which finding meets which lesion, [findings, lesions].
    meets: NDArray[np.bool_]
    #: Findings that are no false positives whatever they meet, [findings].
    excused: NDArray[np.bool_] | None = None


def _verdict(case: Case, images: Sequence[_Image], total: int) -> Verdict:
    scans, meetings = [], []
    for image in images:
        scores = [finding.score for finding in image.findings]
        scans.append(match(image.meets, scores, case.unit, image.excused))
        for truth, column in zip(image.truths, image.meets.T, strict=True):
            best = image.findings[int(np.argmax(column))] if column.any() else None
            meetings.append(Meeting(case.name, case.unit, truth, best, total))
    return Verdict(case.name, tuple(scans), tuple(meetings))
