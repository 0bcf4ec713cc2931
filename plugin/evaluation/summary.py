"""From verdicts to the figures of a model card."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from plugin.evaluation.errors import AxisError, axis_error
from plugin.evaluation.froc import (
    LUNA16_POINTS,
    Scan,
    bootstrap,
    curve,
    sensitivity_at,
    threshold_at,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin.evaluation.judge import Meeting, Verdict

#: Lesions are told apart by long axis from and below these, mm.
SIZES = ((0.0, 6.0), (6.0, 10.0), (10.0, 20.0), (20.0, 30.0), (30.0, 1000.0))
#: Diameters are compared for what is found at so many false positives a scan.
OPERATING_POINT = 4.0


@dataclass(frozen=True)
class Sensitivity:
    """Share of some lesions that is found."""

    #: Lesions looked for.
    lesions: int
    #: False positives a scan allowed.
    points: tuple[float, ...]
    #: Sensitivity at each of them.
    values: tuple[float, ...]
    #: 95 % bootstrap interval of each of them.
    intervals: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Summary:
    """Every figure of one evaluation."""

    #: Name and version of the detector.
    detector: str
    #: Scans (or patches) with lesions, and scans on which false positives were counted.
    scans: tuple[int, int]
    #: Of all lesions.
    sensitivity: Sensitivity
    #: By size class, named by its limits in mm.
    by_size: dict[str, Sensitivity]
    #: Of the long and of the short axis, over lesions found at `OPERATING_POINT`.
    long_axis: AxisError | None
    short_axis: AxisError | None
    #: The score that lets `OPERATING_POINT` false positives a scan through.
    threshold: float

    def to_record(self) -> dict[str, Any]:
        """The figures as a JSON record."""
        return asdict(self)


def summarise(detector: str, positives: Sequence[Verdict], negatives: Sequence[Scan]) -> Summary:
    """Figures of the lesions of `positives`, with false positives counted on `negatives`."""
    threshold = threshold_at(negatives, OPERATING_POINT)
    long_axis, short_axis = _axis_errors(positives, threshold)
    return Summary(
        detector=detector,
        scans=(len(positives), len(negatives)),
        sensitivity=_sensitivity([verdict.scan for verdict in positives], negatives),
        by_size=_by_size(positives, negatives),
        long_axis=long_axis,
        short_axis=short_axis,
        threshold=threshold,
    )


def _sensitivity(positives: Sequence[Scan], negatives: Sequence[Scan]) -> Sensitivity:
    return Sensitivity(
        lesions=sum(len(scan.hits) for scan in positives),
        points=LUNA16_POINTS,
        values=tuple(sensitivity_at(curve(positives, negatives), LUNA16_POINTS)),
        intervals=tuple(bootstrap(positives, negatives, LUNA16_POINTS)),
    )


def _by_size(positives: Sequence[Verdict], negatives: Sequence[Scan]) -> dict[str, Sensitivity]:
    classes = {}
    for low, high in SIZES:
        scans = [scan for verdict in positives if (scan := _of_size(verdict, low, high)).hits]
        if scans:
            classes[f"{low:g} to {high:g}"] = _sensitivity(scans, negatives)
    return classes


def _of_size(verdict: Verdict, low: float, high: float) -> Scan:
    """A scan with only its lesions of a size class."""
    sized = zip(verdict.scan.hits, verdict.meetings, strict=True)
    hits = (score for score, meeting in sized if low <= _long_mm(meeting) < high)
    return Scan(tuple(hits), verdict.scan.false_positives)


def _long_mm(meeting: Meeting) -> float:
    return meeting.truth.axes_mm[0] if meeting.truth.axes_mm else meeting.truth.diameter_mm


def _axis_errors(
    verdicts: Sequence[Verdict], threshold: float
) -> tuple[AxisError | None, AxisError | None]:
    pairs = [
        (meeting.finding.axes_mm, meeting.truth.axes_mm)
        for verdict in verdicts
        for meeting in verdict.meetings
        if meeting.truth.axes_mm and meeting.finding and meeting.finding.score >= threshold
    ]
    long_axis, short_axis = (
        axis_error([measured[i] for measured, _ in pairs], [true[i] for _, true in pairs])
        for i in range(2)
    )
    return long_axis, short_axis
