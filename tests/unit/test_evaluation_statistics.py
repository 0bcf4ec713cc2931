"""Precision and recall, diameters, and intervals over scans that hold several lesions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from plugin.evaluation.errors import axis_error
from plugin.evaluation.froc import MISSED, Scan, gather, sensitivity_at
from plugin.evaluation.precision import average_precision, precision_recall
from plugin.evaluation.resampling import Estimate, estimate

ONE_STRATUM = np.ones(20, bool)


def test_precision_and_recall_of_a_scan_worked_by_hand() -> None:
    # Right, wrong, right, wrong; one of three lesions is missed.
    scans = [Scan((0.9, 0.5, MISSED), (0.7, 0.3), "a")]
    points = precision_recall(gather(scans, scans))
    assert points.thresholds.tolist() == [0.9, 0.7, 0.5, 0.3]
    assert points.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert points.precision == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    # A third at precision 1, a third at 2/3, a third never.
    assert average_precision(gather(scans, scans)) == pytest.approx(1 / 3 + 2 / 9)


def test_equal_scores_are_one_point() -> None:
    scans = [Scan((0.5, 0.5), (0.5, 0.5), "a")]
    points = precision_recall(gather(scans, scans))
    assert (points.recall.tolist(), points.precision.tolist()) == ([1.0], [0.5])


def test_second_findings_on_a_lesion_leave_precision_alone() -> None:
    # What `match` makes of two findings on one lesion: a single hit.
    scans = [Scan((0.9,), (), "a")]
    assert average_precision(gather(scans, scans)) == 1.0


def test_nothing_found_is_an_average_precision_of_nothing() -> None:
    scans = [Scan((MISSED,), (), "a")]
    assert average_precision(gather(scans, scans)) == 0.0
    assert len(precision_recall(gather(scans, scans)).recall) == 0


def test_precision_weighs_units() -> None:
    scans = [Scan((0.9,), (), "a"), Scan((0.4,), (0.8,), "b")]
    evidence = gather(scans, scans)
    once = precision_recall(evidence)
    doubled = precision_recall(gather(scans * 2, scans * 2))
    twice = precision_recall(evidence, np.array([2, 2]))
    assert twice.precision.tolist() == doubled.precision.tolist() == once.precision.tolist()
    only_a = precision_recall(evidence, np.array([1, 0]))
    assert only_a.recall[-1] == only_a.precision[-1] == 1.0


def test_differences_are_measured_minus_true() -> None:
    error = axis_error([12.0, 9.0, 10.0], [10.0, 10.0, 10.0], ["a", "b", "c"])
    assert error is not None
    assert (error.count, error.mean_absolute.value, error.median_absolute.value) == (3, 1.0, 1.0)
    assert error.bias.value == pytest.approx(1 / 3)
    spread = 1.96 * np.std([2.0, -1.0, 0.0], ddof=1)
    limits = error.lower_limit.value, error.upper_limit.value
    assert limits == pytest.approx((1 / 3 - spread, 1 / 3 + spread))
    assert axis_error([], [], []) is None


def test_a_single_difference_has_no_limits_of_agreement() -> None:
    error = axis_error([12.0], [10.0], ["a"])
    assert error is not None
    assert error.bias == Estimate(2.0, (2.0, 2.0))
    assert np.isnan([error.lower_limit.value, *error.upper_limit.interval]).all()


def test_intervals_of_a_mean_are_those_of_its_normal_distribution() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    units = [str(i) for i in range(400)]
    error = axis_error(values.tolist(), [0.0] * 400, units)
    assert error is not None
    low, high = values.mean() + np.array([-1.96, 1.96]) * values.std() / 20
    assert error.bias.interval == pytest.approx((low, high), abs=0.03)


def test_lesions_of_one_scan_are_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(3).normal(5.0, 2.0, 40), 10).tolist()
    apart = axis_error(values, [0.0] * 400, [str(i) for i in range(400)])
    together = axis_error(values, [0.0] * 400, [str(i // 10) for i in range(400)])
    assert apart is not None
    assert together is not None
    widths = [np.diff(each.bias.interval)[0] for each in (together, apart)]
    # Ten copies of each value say no more than one: the interval is sqrt(10) times as wide.
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(10), rel=0.15)


def test_intervals_are_certain_where_all_scans_agree_and_wide_where_they_do_not() -> None:
    same = [Scan((0.9,), (), str(i)) for i in range(20)]
    assert _interval(same) == (1.0, 1.0)
    mixed = [Scan((0.9 if i % 2 else MISSED,), (), str(i)) for i in range(20)]
    low, high = _interval(mixed)
    assert 0.2 < low < 0.45
    assert 0.55 < high < 0.8


def _interval(scans: list[Scan]) -> tuple[float, float]:
    evidence = gather(scans, scans)
    (found,) = estimate(lambda drawn: sensitivity_at(evidence, (1.0,), drawn), evidence.marked)
    return found.interval


def test_the_same_seed_gives_the_same_interval() -> None:
    def mean(drawn: np.ndarray) -> list[float]:
        return [float(drawn @ np.arange(20) / drawn.sum())]

    results = [estimate(mean, ONE_STRATUM, rounds=50, seed=seed) for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]


def test_strata_are_drawn_apart() -> None:
    drawn: list[np.ndarray] = []

    def remember(counts: np.ndarray) -> list[float]:
        drawn.append(counts)
        return [0.0]

    estimate(remember, np.array([True, True, True, False]), rounds=30)
    assert all(counts.tolist()[3] == 1 and counts[:3].sum() == 3 for counts in drawn)
    assert any(a.tolist() != b.tolist() for a, b in pairwise(drawn))


def test_undefined_rounds_are_left_out() -> None:
    def sometimes(drawn: np.ndarray) -> list[float]:
        return [1.0 if drawn[0] else float("nan"), float("nan")]

    defined, never = estimate(sometimes, np.ones(2, bool), rounds=50)
    assert defined.interval == (1.0, 1.0)
    assert np.isnan(never.interval).all()
