"""FROC with the rules of LUNA16 and DeepLesion: by hand, and against the procedures of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.evaluation.froc import (
    DEEPLESION_POINTS,
    LUNA16_POINTS,
    MISSED,
    Scan,
    curve,
    gather,
    match,
    meets_deeplesion,
    meets_luna16,
    sensitivity_at,
    thresholds_at,
)

#: Two scans with three lesions: 0.9 hits, 0.8 is wrong, 0.7 hits, 0.6 and 0.5 are wrong.
TWO_SCANS = [Scan((0.9, MISSED), (0.8, 0.5), "a"), Scan((0.7,), (0.6,), "b")]

#: Findings of one scan on a line: (place in mm, score in thousandths), all scores different.
FINDINGS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 999)), max_size=8, unique_by=lambda f: f[1]
)
#: Lesions of one scan on a line: (place, diameter) in mm; some overlap.
LESIONS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 14)), max_size=3)
SCANS = st.lists(st.tuples(FINDINGS, LESIONS), min_size=1, max_size=4).filter(
    lambda scans: any(lesions for _, lesions in scans)
)


def _sensitivity(scans: list[Scan], points: tuple[float, ...]) -> list[float]:
    return sensitivity_at(gather(scans, scans), points).tolist()


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
    found = curve(gather(TWO_SCANS, TWO_SCANS))
    assert found.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert found.false_positives.tolist() == [0.0, 0.5, 0.5, 1.0, 1.5]
    assert found.sensitivity == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])


def test_sensitivity_is_read_before_the_next_false_positive() -> None:
    read = _sensitivity(TWO_SCANS, (0.125, 0.5, 1.0, 8.0))
    assert read == pytest.approx([1 / 3, 2 / 3, 2 / 3, 2 / 3])


def test_the_seven_points_of_luna16_on_a_scan_worked_by_hand() -> None:
    # Eight scans, one lesion each, lesion i hit with 0.95 - 0.1 i; nine false positives between.
    scans = [Scan((0.95 - 0.1 * i,), (), str(i)) for i in range(8)]
    scans[0] = Scan((0.95,), tuple(0.9 - 0.1 * i for i in range(9)), "0")
    # 1 of 8 scans: 1/8 FP a scan lets 0.9 through and not 0.8: 0.95 and 0.85 are found.
    assert _sensitivity(scans, LUNA16_POINTS) == pytest.approx(
        [2 / 8, 3 / 8, 5 / 8, 1.0, 1.0, 1.0, 1.0]
    )


def test_nothing_is_reached_where_the_first_finding_is_wrong() -> None:
    assert _sensitivity([Scan((0.1,), (0.9,))], (0.5, 1.0)) == [0.0, 1.0]


def test_equal_scores_fall_together() -> None:
    assert _sensitivity([Scan((0.5, 0.5), (0.5,))], (0.5, 1.0)) == [0.0, 1.0]
    assert _sensitivity([Scan((0.5, 0.4), (0.5, 0.5, 0.3))], (1.0, 2.0)) == [0.0, 1.0]


def test_false_positives_may_be_counted_on_other_scans() -> None:
    marked = [Scan((0.9, 0.2), (0.99, 0.98), "a")]
    evidence = gather(marked, [Scan((), (0.5,), "b"), Scan((), (), "c")])
    assert sensitivity_at(evidence, (0.25, 0.5)).tolist() == [0.5, 1.0]
    assert evidence.marked.tolist() == [True, False, False]


def test_units_count_as_often_as_they_are_drawn() -> None:
    evidence = gather(TWO_SCANS, TWO_SCANS)
    # Scan a twice: four lesions and four false positives on two scans; 0.8 is there twice.
    assert sensitivity_at(evidence, (0.5, 1.0), np.array([2, 0])).tolist() == [0.5, 0.5]
    # Scan b twice: 0.7 is hit before 0.6.
    assert sensitivity_at(evidence, (0.5,), np.array([0, 2])).tolist() == [1.0]
    only_a = evidence.of(np.array([True, True, False]))
    assert np.isnan(sensitivity_at(only_a, (0.5,), np.array([0, 2]))).all()


def test_without_a_lesion_or_a_scan_there_is_no_curve() -> None:
    with pytest.raises(ValueError, match="no lesion"):
        gather([Scan((), (0.3,))], TWO_SCANS)
    with pytest.raises(ValueError, match="no scan"):
        gather(TWO_SCANS, [])


@pytest.mark.parametrize(
    ("point", "passing"), [(0.0, []), (1.0, [0.8, 0.6]), (2.0, [0.8, 0.6, 0.5])]
)
def test_the_threshold_lets_so_many_false_positives_through(
    point: float, passing: list[float]
) -> None:
    (limit,) = thresholds_at(gather(TWO_SCANS, TWO_SCANS), [point])
    assert [score for score in (0.8, 0.6, 0.5) if score > limit] == passing


@settings(deadline=None, max_examples=150)
@given(SCANS)
def test_luna16_agrees_with_its_procedure_lesion_by_lesion(
    scans: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]],
) -> None:
    """The challenge goes through the lesions and takes from the findings what lies in each."""
    compared = []
    hits, wrong = [], []
    for findings, lesions in scans:
        places = np.array([[place, 0, 0] for place, _ in findings], float).reshape(-1, 3)
        centres = np.array([[place, 0, 0] for place, _ in lesions], float).reshape(-1, 3)
        meets = meets_luna16(places, centres, np.array([d for _, d in lesions], float))
        compared.append(match(meets, [score for _, score in findings]))
        left = dict(enumerate(findings))
        for place, diameter in lesions:
            near = {i for i, (at, _) in enumerate(findings) if abs(at - place) < diameter / 2}
            hits.append(max((findings[i][1] for i in near), default=MISSED))
            left = {i: finding for i, finding in left.items() if i not in near}
        wrong += [score for _, score in left.values()]
    _assert_same_curve(compared, hits, wrong, LUNA16_POINTS)


@settings(deadline=None, max_examples=150)
@given(SCANS)
def test_deeplesion_agrees_with_its_procedure_finding_by_finding(
    scans: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]],
) -> None:
    """Yan et al. go through the findings of all images by falling score and tick lesions off."""
    compared, all_findings = [], []
    for image, (findings, lesions) in enumerate(scans):
        boxes = np.array([[x, 0, x + 8, 1] for x, _ in findings], float).reshape(-1, 4)
        truths = np.array([[x, 0, x + d, 1] for x, d in lesions], float).reshape(-1, 4)
        compared.append(match(meets_deeplesion(boxes, truths), [s for _, s in findings]))
        all_findings += [(score, image, x) for x, score in findings]
    hits = {(i, j): MISSED for i, (_, lesions) in enumerate(scans) for j in range(len(lesions))}
    wrong = []
    for score, image, x in sorted(all_findings, reverse=True):
        met = [j for j, lesion in enumerate(scans[image][1]) if _overlap(x, 8, *lesion) >= 0.5]
        for j in met:
            hits[image, j] = max(hits[image, j], score)
        if not met:
            wrong.append(score)
    _assert_same_curve(compared, list(hits.values()), wrong, DEEPLESION_POINTS)


def _overlap(x: int, width: int, other: int, other_width: int) -> float:
    """Intersection over union of two segments."""
    shared = max(0, min(x + width, other + other_width) - max(x, other))
    return shared / (width + other_width - shared)


def _assert_same_curve(
    scans: list[Scan], hits: list[float], wrong: list[float], points: tuple[float, ...]
) -> None:
    """Against counting, threshold by threshold, hits and false positives one after another."""
    evidence = gather(scans, scans)
    best = dict.fromkeys(points, 0.0)
    found = curve(evidence)
    for i, threshold in enumerate(sorted({*wrong, *hits} - {MISSED}, reverse=True)):
        per_scan = sum(score >= threshold for score in wrong) / len(scans)
        share = sum(score >= threshold for score in hits) / len(hits)
        assert (found.false_positives[i], found.sensitivity[i]) == (per_scan, share)
        for point in points:
            if per_scan <= point:
                best[point] = max(best[point], share)
    assert sensitivity_at(evidence, points).tolist() == pytest.approx(list(best.values()))
