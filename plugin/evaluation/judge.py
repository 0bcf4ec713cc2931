"""Run a detector over cases by the path that ships, and compare what it finds with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.evaluation.froc import Scan, match, meets_luna16
from plugin.measure import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.detector import Detector
    from plugin.evaluation.cases import Case, Truth
    from plugin.volume import Volume


@dataclass(frozen=True)
class Finding:
    """One lesion as the detector and the measurement report it."""

    #: Certainty, 0 to 1.
    score: float
    #: Centre of its voxels, mm in LPS patient coordinates (x, y, z).
    centre: NDArray[np.float64]
    #: Long and short axis, mm.
    axes_mm: tuple[float, float]


@dataclass(frozen=True)
class Meeting:
    """A lesion and the best finding that meets it."""

    #: The case.
    name: str
    #: The lesion.
    truth: Truth
    #: None where it was missed.
    finding: Finding | None
    #: Place of the finding among the case's, from 1; None where it was missed.
    rank: int | None


@dataclass(frozen=True)
class Verdict:
    """What came of one case."""

    #: For the FROC curve.
    scan: Scan
    #: One for each lesion.
    meetings: tuple[Meeting, ...]


def find(detector: Detector, volume: Volume) -> list[Finding]:
    """Findings of a volume, best score first."""
    findings = []
    for detection in detector.detect(volume):
        measured = measure(detection.mask, detection.offset, volume).diameters
        middle = np.argwhere(detection.mask).mean(axis=0) + detection.offset
        axes = measured.long_axis_mm, measured.short_axis_mm
        findings.append(Finding(detection.score, volume.to_patient(middle), axes))
    return sorted(findings, key=lambda finding: -finding.score)


def judge(detector: Detector, case: Case) -> Verdict:
    """Find and compare by LUNA16's rule."""
    volume = case.volume()
    return compare(case.name, find(detector, volume), case.truths(volume))


def compare(name: str, findings: Sequence[Finding], truths: Sequence[Truth]) -> Verdict:
    """Findings, best score first, against lesions."""
    meets = meets_luna16(
        np.array([f.centre for f in findings]).reshape(-1, 3),
        np.array([t.centre for t in truths]).reshape(-1, 3),
        np.array([t.diameter_mm for t in truths]),
    )
    ranks = [int(np.argmax(column)) if column.any() else None for column in meets.T]
    meetings = (
        Meeting(name, truth, None, None)
        if rank is None
        else Meeting(name, truth, findings[rank], rank + 1)
        for truth, rank in zip(truths, ranks, strict=True)
    )
    return Verdict(match(meets, [f.score for f in findings]), tuple(meetings))
