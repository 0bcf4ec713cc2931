"""Judging findings against marks, and the figures that come of it."""

from __future__ import annotations

import numpy as np
import pytest

from plugin.evaluation.cases import Truth
from plugin.evaluation.errors import axis_error
from plugin.evaluation.froc import Scan
from plugin.evaluation.judge import Finding, compare
from plugin.evaluation.summary import summarise
from plugin.evaluation.tables import rank_lines, summary_lines


def _finding(score: float, x: float, long_mm: float = 10.0) -> Finding:
    return Finding(score, np.array([x, 0.0, 0.0]), (long_mm, 5.0))


def _truth(x: float, long_mm: float = 10.0) -> Truth:
    return Truth(np.array([x, 0.0, 0.0]), long_mm, (long_mm, 6.0))


def test_each_lesion_meets_its_best_finding() -> None:
    findings = [_finding(0.9, 50.0), _finding(0.8, 1.0), _finding(0.7, 0.0)]
    verdict = compare("a", findings, [_truth(0.0), _truth(90.0)])
    assert verdict.scan == Scan((0.8, float("-inf")), (0.9,))
    assert [(m.rank, m.finding) for m in verdict.meetings] == [(2, findings[1]), (None, None)]


def test_differences_are_measured_minus_true() -> None:
    error = axis_error([12.0, 9.0, 10.0], [10.0, 10.0, 10.0])
    assert error is not None
    assert (error.mean_absolute, error.median_absolute) == (1.0, 1.0)
    assert error.bias == pytest.approx(1 / 3)
    spread = 1.96 * np.std([2.0, -1.0, 0.0])
    assert error.limits == pytest.approx((1 / 3 - spread, 1 / 3 + spread))
    assert axis_error([], []) is None


def test_a_summary_tells_sizes_apart_and_measures_what_is_found() -> None:
    small = compare("s", [_finding(0.9, 0.0, 6.0)], [_truth(0.0, 5.0)])
    large = compare("l", [_finding(0.2, 0.0, 20.0)], [_truth(0.0, 25.0)])
    negatives = [Scan((), (0.8, 0.7, 0.6, 0.5, 0.4))]
    summary = summarise("d-1", [small, large], negatives)
    assert summary.sensitivity.values == (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0)
    assert {size: s.values[3] for size, s in summary.by_size.items()} == {
        "0 to 6": 1.0,
        "20 to 30": 0.0,
    }
    # At 4 false positives a scan the large one is not found: its error does not count.
    assert summary.long_axis is not None
    assert (summary.long_axis.count, summary.long_axis.bias) == (1, 1.0)
    assert 0.4 < summary.threshold < 0.5


def test_tables_name_every_figure() -> None:
    verdict = compare("lung", [_finding(0.9, 0.0)], [_truth(0.0), _truth(70.0)])
    summary = summarise("d-1", [verdict], [Scan((), (0.5,))])
    text = "\n".join(summary_lines(summary))
    assert "| all, 2 | 0.500 |" in text
    assert "Short axis: mean absolute error 1.00 mm" in text
    assert list(rank_lines(verdict.meetings)) == [
        "lung: lesion of 10.0 mm at rank 1, score 0.90, measured 10.0 x 5.0 mm",
        "lung: lesion of 10.0 mm missed",
    ]
