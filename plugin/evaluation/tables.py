"""Figures as text: Markdown tables, as a model card wants them."""

from __future__ import annotations

from itertools import chain
from math import isnan
from typing import TYPE_CHECKING

from plugin.evaluation.summary import OPERATING_POINT, REPORTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from plugin.evaluation.errors import AxisError
    from plugin.evaluation.judge import Meeting
    from plugin.evaluation.resampling import Estimate
    from plugin.evaluation.summary import FreeScan, Group, Summary


#: Best scores that are listed.
_BEST = 8


def summary_lines(summary: Summary) -> Iterator[str]:
    """The figures of an evaluation, line by line; 95 % intervals in brackets."""
    marked, counted = summary.scans
    yield (
        f"## {summary.detector}, protocol {summary.protocol}: {summary.everything.lesions} lesions "
        f"in {marked}; false positives counted on {counted}, per {summary.place}"
    )
    yield ""
    yield from _sensitivity_lines(summary)
    yield ""
    yield f"Average precision: {_estimate(summary.average_precision, 3)}"
    yield ""
    found = summary.everything.long_axis
    yield from _error_lines(summary) if found else ("Diameters: nothing found to compare",)
    if summary.beside:
        yield ""
        yield _beside_line(summary)
    if summary.free:
        yield ""
        yield from _free_lines(summary.free)


def rank_lines(meetings: Iterable[Meeting]) -> Iterator[str]:
    """One line for each lesion: its rank among the findings of its series, and its diameters."""
    yield from _header("series", "lesion", "true, mm", "rank", "findings", "score", "measured, mm")
    for meeting in meetings:
        truth = meeting.truth
        image = f", {truth.key.name}" if truth.key else ""
        true = _axes(truth.axes_mm) if truth.axes_mm else f"about {truth.diameter_mm:.0f}"
        rank, *found = _found_cells(meeting)
        yield _row(
            f"{meeting.name}{image}",
            truth.lesion_type,
            true,
            rank,
            str(meeting.findings),
            *found,
        )


def _found_cells(meeting: Meeting) -> tuple[str, str, str]:
    """Rank, score and diameters of what met a lesion."""
    finding = meeting.finding
    if finding is None:
        return "missed", "", ""
    return str(finding.rank), f"{finding.score:.2f}", _axes(finding.axes_mm)


def _sensitivity_lines(summary: Summary) -> Iterator[str]:
    points = [f"{point:g} FP" for point in summary.points]
    mean = f"mean of {len(summary.mean_points)}"
    yield from _header(f"lesions, FP per {summary.place}", *points, mean)
    for name, group in _groups(summary):
        values = (*group.sensitivity, group.mean_sensitivity)
        yield _row(f"{name}, {group.lesions}", *(_estimate(value, 3) for value in values))


def _error_lines(summary: Summary) -> Iterator[str]:
    yield from _header(
        f"found at {OPERATING_POINT:g} FP, mm",
        "lesions", "axis", "mean absolute", "median", "bias", "limits of agreement",
    )  # fmt: skip
    for name, group in _groups(summary):
        for axis, error in (("long", group.long_axis), ("short", group.short_axis)):
            if error is not None:
                yield _row(name, str(error.count), axis, *_error_cells(error))


def _error_cells(error: AxisError) -> Iterator[str]:
    for figure in (error.mean_absolute, error.median_absolute):
        yield _estimate(figure, 2)
    yield _estimate(error.bias, 2, sign="+")
    limits = (_estimate(limit, 1, sign="+") for limit in (error.lower_limit, error.upper_limit))
    yield " to ".join(limits)


def _beside_line(summary: Summary) -> str:
    reported = sum(score >= REPORTED for score in summary.beside)
    best = ", ".join(f"{score:.2f}" for score in summary.beside[:_BEST])
    return (
        f"Not counted above, found beside the lesions of {summary.scans[0]} scans: {reported} from "
        f"score {REPORTED:g}, the best {best}"
    )


def _free_lines(free: Iterable[FreeScan]) -> Iterator[str]:
    yield from _header("lesion-free scan", f"findings from score {REPORTED:g}", "best scores")
    for scan in free:
        best = ", ".join(f"{score:.2f}" for score in scan.scores[:_BEST])
        yield _row(scan.name, str(scan.reported), best)


def _groups(summary: Summary) -> Iterator[tuple[str, Group]]:
    yield "all", summary.everything
    kinds = summary.by_type if len(summary.by_type) > 1 else {}
    yield from chain(summary.by_size.items(), kinds.items())


def _header(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield _row(*["---"] * len(cells))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _axes(axes: Sequence[float]) -> str:
    return f"{axes[0]:.1f} x {axes[1]:.1f}"


def _estimate(figure: Estimate, digits: int, sign: str = "") -> str:
    """Value [low, high]; a dash where it is undefined."""
    if isnan(figure.value):
        return "-"
    kind = f"{sign}.{digits}f"
    low, high = figure.interval
    return f"{figure.value:{kind}} [{low:{kind}}, {high:{kind}}]"
