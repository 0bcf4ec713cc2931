"""Figures as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from plugin.evaluation.errors import AxisError
    from plugin.evaluation.judge import Meeting
    from plugin.evaluation.summary import Sensitivity, Summary


def summary_lines(summary: Summary) -> Iterator[str]:
    """The figures of an evaluation, line by line, as Markdown."""
    positives, negatives = summary.scans
    yield f"{summary.detector}: {positives} scans with lesions, {negatives} for false positives"
    yield ""
    yield from _row(["lesions", *(f"{p:g} FP a scan" for p in summary.sensitivity.points)])
    yield from _row(["---"] * (1 + len(summary.sensitivity.points)))
    yield from _row([f"all, {summary.sensitivity.lesions}", *_values(summary.sensitivity)])
    yield from _row(["95 % interval", *_intervals(summary.sensitivity)])
    for size, sensitivity in summary.by_size.items():
        yield from _row([f"{size} mm, {sensitivity.lesions}", *_values(sensitivity)])
    yield ""
    yield f"Long axis: {_error(summary.long_axis)}"
    yield f"Short axis: {_error(summary.short_axis)}"


def rank_lines(meetings: Iterable[Meeting]) -> Iterator[str]:
    """One line for each lesion of a series: its rank, score and diameters."""
    for meeting in meetings:
        true = "" if meeting.truth.axes_mm is None else f" of {meeting.truth.axes_mm[0]:.1f} mm"
        if meeting.finding is None:
            yield f"{meeting.name}: lesion{true} missed"
        else:
            long_mm, short_mm = meeting.finding.axes_mm
            yield (
                f"{meeting.name}: lesion{true} at rank {meeting.rank}, score "
                f"{meeting.finding.score:.2f}, measured {long_mm:.1f} x {short_mm:.1f} mm"
            )


def _row(cells: Sequence[str]) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def _values(sensitivity: Sensitivity) -> list[str]:
    return [f"{value:.3f}" for value in sensitivity.values]


def _intervals(sensitivity: Sensitivity) -> list[str]:
    return [f"{low:.2f} to {high:.2f}" for low, high in sensitivity.intervals]


def _error(error: AxisError | None) -> str:
    if error is None:
        return "nothing found to compare"
    return (
        f"mean absolute error {error.mean_absolute:.2f} mm, median {error.median_absolute:.2f} mm, "
        f"bias {error.bias:+.2f} mm, limits {error.limits[0]:+.1f} to {error.limits[1]:+.1f} mm"
        f" ({error.count} lesions)"
    )
