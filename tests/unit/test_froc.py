"""FROC with the rules of LUNA16 and DeepLesion on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from plugin.evaluation.froc import (
    Scan,
    bootstrap,
    curve,
    match,
    meets_deeplesion,
    meets_luna16,
    sensitivity_at,
    threshold_at,
)

MISSED = float("-inf")
#: Two scans with three lesions: 0.9 hits, 0.8 is wrong, 0.7 hits, 0.6 and 0.5 are wrong.
TWO_SCANS = [Scan((0.9, MISSED), (0.8, 0.5)), Scan((0.7,), (0.6,))]


def test_luna16_hits_within_the_radius_and_not_on_it() -> None:
    centres = np.array([[0.0, 0.0, 4.9], [0.0, 0.0, 5.0], [3.0, 4.0, 0.0], [2.0, 2.0, 2.0]])
    meets = meets_luna16(centres, np.zeros((1, 3)), np.array([10.0]))
    assert meets[:, 0].tolist() == [True, False, False, True]


def test_deeplesion_hits_from_an_iou_of_a_half() -> None:
    lesion = np.array([[0.0, 0.0, 10.0, 10.0]])
    boxes = np.array([[0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 4.9], [5.0, 0.0, 15.0, 10.0]])
    assert meets_deeplesion(boxes, lesion)[:, 0].tolist() == [True, False, False]


def test_a_second_finding_on_a_lesion_is_neither_hit_nor_false_positive() -> None:
    meets = np.array([[True, False], [True, False], [False, False]])
    assert match(meets, [0.4, 0.9, 0.3]) == Scan((0.9, MISSED), (0.3,))


def test_one_finding_on_two_lesions_hits_both() -> None:
    assert match(np.array([[True, True]]), [0.4]) == Scan((0.4, 0.4), ())


def test_a_scan_without_findings_misses_its_lesions() -> None:
    assert match(np.zeros((0, 2), bool), []) == Scan((MISSED, MISSED), ())


def test_the_curve_of_two_scans() -> None:
    found = curve(TWO_SCANS, TWO_SCANS)
    assert found.false_positives.tolist() == [0.0, 0.5, 0.5, 1.0, 1.5]
    assert found.sensitivity == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])


def test_sensitivity_is_read_before_the_next_false_positive() -> None:
    found = curve(TWO_SCANS, TWO_SCANS)
    assert sensitivity_at(found, (0.125, 0.5, 1.0, 8.0)) == pytest.approx(
        [1 / 3, 2 / 3, 2 / 3, 2 / 3]
    )


def test_nothing_is_reached_where_the_first_finding_is_wrong() -> None:
    scans = [Scan((0.1,), (0.9,))]
    assert sensitivity_at(curve(scans, scans), (0.5, 1.0)) == [0.0, 1.0]


def test_equal_scores_fall_together() -> None:
    scans = [Scan((0.5, 0.5), (0.5,))]
    assert sensitivity_at(curve(scans, scans), (0.5, 1.0)) == [0.0, 1.0]


def test_false_positives_may_be_counted_on_other_scans() -> None:
    found = curve([Scan((0.9, 0.2), (0.99, 0.98))], [Scan((), (0.5,)), Scan((), ())])
    assert sensitivity_at(found, (0.25, 0.5)) == [0.5, 1.0]


def test_without_a_lesion_or_a_scan_there_is_no_curve() -> None:
    with pytest.raises(ValueError, match="no lesion"):
        curve([Scan((), (0.3,))], TWO_SCANS)
    with pytest.raises(ValueError, match="no scan"):
        curve(TWO_SCANS, [])


@pytest.mark.parametrize(
    ("point", "passing"), [(0.0, []), (1.0, [0.8, 0.6]), (2.0, [0.8, 0.6, 0.5])]
)
def test_the_threshold_lets_so_many_false_positives_through(
    point: float, passing: list[float]
) -> None:
    limit = threshold_at(TWO_SCANS, point)
    assert [score for score in (0.8, 0.6, 0.5) if score >= limit] == passing


def test_intervals_are_certain_where_all_scans_agree_and_wide_where_they_do_not() -> None:
    same = [Scan((0.9,), ()) for _ in range(20)]
    assert bootstrap(same, same, (1.0,), rounds=50) == [(1.0, 1.0)]
    mixed = [Scan((0.9,), ()), Scan((MISSED,), ())] * 10
    ((low, high),) = bootstrap(mixed, mixed, (1.0,), rounds=200)
    assert 0.2 < low < 0.45
    assert 0.55 < high < 0.8
