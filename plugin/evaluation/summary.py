"""From verdicts to the figures of a model card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.evaluation.errors import AxisError, axis_error
from plugin.evaluation.froc import (
    Curve,
    curve,
    gather,
    sensitivity_at,
    thresholds_at,
)
from plugin.evaluation.precision import PrecisionRecall, average_precision, precision_recall
from plugin.evaluation.resampling import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.evaluation.froc import Evidence, Scan
    from plugin.evaluation.judge import Meeting, Verdict
    from plugin.evaluation.protocols import Protocol

#: Lesions are told apart by long axis from and below these, mm.
SIZES = ((0.0, 6.0), (6.0, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 1000.0))
#: Diameters are compared for what is found at so many false positives a scan.
OPERATING_POINT = 4.0
#: Of lesion-free scans the findings are told from this score on, that of a report by default.
REPORTED = 0.5


@dataclass(frozen=True)
class Group:
    """Figures of some of the lesions."""

    #: Lesions looked for.
    lesions: int
    #: Share that is found at each of the protocol's points.
    sensitivity: tuple[Estimate, ...]
    #: Mean of the sensitivity over the protocol's `mean_points`.
    mean_sensitivity: Estimate
    #: Of those found at `OPERATING_POINT`; None where there are none.
    long_axis: AxisError | None
    short_axis: AxisError | None


@dataclass(frozen=True)
class FreeScan:
    """What was found in a scan without lesions."""

    #: Name of the scan.
    name: str
    #: Scores of its findings, falling.
    scores: tuple[float, ...]

    @property
    def reported(self) -> int:
        """Findings that a report would hold."""
        return sum(score >= REPORTED for score in self.scores)


@dataclass(frozen=True)
class Summary:
    """Every figure of one evaluation."""

    #: Name and version of the detector.
    detector: str
    #: Name of the protocol.
    protocol: str
    #: Scans (patches, key slices) with lesions, and scans on which false positives were counted.
    scans: tuple[int, int]
    #: What the latter are: scan, patch or image.
    place: str
    #: False positives a place at which the sensitivity is read.
    points: tuple[float, ...]
    #: Those of them that the mean is taken over.
    mean_points: tuple[float, ...]
    #: The score above which `OPERATING_POINT` false positives a place are let through.
    threshold: float
    #: Of all lesions, by size class in mm, and by type.
    everything: Group
    by_size: dict[str, Group]
    by_type: dict[str, Group]
    #: Area under the precision-recall curve.
    average_precision: Estimate
    #: The curves.
    froc: Curve
    precision_recall: PrecisionRecall
    #: Every lesion and what met it.
    meetings: tuple[Meeting, ...]
    #: Scores of what was found beside the lesions where no false positives were counted, falling.
    beside: tuple[float, ...]
    #: Scans without lesions.
    free: tuple[FreeScan, ...]


def summarise(
    detector: str, protocol: Protocol, marked: Sequence[Verdict], free: Sequence[Verdict]
) -> Summary:
    """Figures of the lesions of `marked`; false positives are counted as the protocol says."""
    scans = [scan for verdict in marked for scan in verdict.scans]
    counted, place = protocol.counted(scans, [scan for each in free for scan in each.scans])
    evidence = gather(scans, counted)
    meetings = [meeting for verdict in marked for meeting in verdict.meetings]
    threshold = float(thresholds_at(evidence, [OPERATING_POINT])[0])
    judged = _Judged(protocol, evidence, np.array(meetings, object), threshold)
    (average,) = estimate(lambda drawn: [average_precision(evidence, drawn)], evidence.marked)
    return Summary(
        detector=detector,
        protocol=protocol.name,
        scans=(len(scans), len(counted)),
        place=place,
        points=protocol.points,
        mean_points=protocol.mean_points,
        threshold=threshold,
        everything=judged.group(np.ones(len(meetings), np.bool_)),
        by_size=judged.by_size(),
        by_type=judged.by_type(),
        average_precision=average,
        froc=curve(evidence),
        precision_recall=precision_recall(evidence),
        meetings=tuple(meetings),
        beside=_beside(scans, counted),
        free=tuple(_free_scan(verdict) for verdict in free),
    )


@dataclass(frozen=True)
class _Judged:
    """What the figures of any group of lesions are taken from."""

    protocol: Protocol
    evidence: Evidence
    #: [lesions], in the order of the evidence.
    meetings: NDArray[np.object_]
    threshold: float

    def by_size(self) -> dict[str, Group]:
        """Figures by size class, without empty ones."""
        lengths = np.array([meeting.truth.long_mm for meeting in self.meetings])
        members = {
            _size_name(low, high): (low <= lengths) & (lengths < high) for low, high in SIZES
        }
        return {name: self.group(chosen) for name, chosen in members.items() if chosen.any()}

    def by_type(self) -> dict[str, Group]:
        """Figures by lesion type."""
        types = np.array([str(meeting.truth.lesion_type) for meeting in self.meetings])
        return {str(name): self.group(types == name) for name in np.unique(types)}

    def group(self, lesions: NDArray[np.bool_]) -> Group:
        """Figures of the lesions [lesions]."""
        evidence = self.evidence.of(lesions)
        found = [m for m in self.meetings[lesions] if m.score > self.threshold]
        *sensitivity, mean = estimate(
            lambda drawn: self._sensitivity(evidence, drawn), evidence.marked
        )
        return Group(
            lesions=int(lesions.sum()),
            sensitivity=tuple(sensitivity),
            mean_sensitivity=mean,
            long_axis=_error(found, 0),
            short_axis=_error(found, 1),
        )

    def _sensitivity(self, evidence: Evidence, drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        """At each point, then their mean."""
        points = self.protocol.points
        values = sensitivity_at(evidence, points, drawn)
        return np.append(values, values[np.isin(points, self.protocol.mean_points)].mean())


def _size_name(low: float, high: float) -> str:
    if low == SIZES[0][0]:
        return f"below {high:g} mm"
    return f"{low:g} mm or more" if high == SIZES[-1][1] else f"{low:g} to {high:g} mm"


def _error(found: Sequence[Meeting], axis: int) -> AxisError | None:
    """Error of the long (0) or short axis (1) of lesions whose axes were marked."""
    triples = [
        (m.finding.axes_mm[axis], m.truth.axes_mm[axis], m.unit)
        for m in found
        if m.finding is not None and m.truth.axes_mm is not None
    ]
    measured, true, units = zip(*triples, strict=True) if triples else ((), (), ())
    return axis_error(measured, true, units)


def _beside(scans: Sequence[Scan], counted: Sequence[Scan]) -> tuple[float, ...]:
    known = {id(scan) for scan in counted}
    scores = (score for scan in scans if id(scan) not in known for score in scan.false_positives)
    return tuple(sorted(scores, reverse=True))


def _free_scan(verdict: Verdict) -> FreeScan:
    scores = [score for scan in verdict.scans for score in scan.false_positives]
    return FreeScan(verdict.name, tuple(sorted(scores, reverse=True)))
