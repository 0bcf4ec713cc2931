"""Boxes and suppression, by hand and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.detector.nms import iou, suppress

#: Boxes (x0, y0, x1, y1), and their intersection over union worked out by hand.
PAIRS = [
    ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
    ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),  # 1 shared of 4 + 4 - 1
    ((0, 0, 4, 2), (1, 0, 2, 2), 0.25),  # one inside the other
    ((0, 0, 1, 1), (1, 0, 2, 1), 0.0),  # a common side
    ((0, 0, 1, 1), (5, 5, 6, 6), 0.0),
    ((0, 0, 0.5, 0.5), (0, 0, 0.5, 0.25), 0.5),  # smaller than a pixel
    ((3, 3, 3, 3), (3, 3, 3, 3), 0.0),  # no area: no overlap, no division by zero
]


@pytest.mark.parametrize(("a", "b", "expected"), PAIRS)
def test_iou_of_pairs_worked_out_by_hand(
    a: tuple[float, ...], b: tuple[float, ...], expected: float
) -> None:
    one, other = np.array([a], float), np.array([b], float)
    assert iou(one, other)[0, 0] == pytest.approx(expected)
    assert iou(other, one)[0, 0] == pytest.approx(expected)


def test_iou_counts_voxels_in_three_dimensions() -> None:
    rng = np.random.default_rng(3)
    low = rng.integers(0, 6, (12, 3))
    boxes = np.concatenate([low, low + rng.integers(1, 5, (12, 3))], axis=1)
    grid = np.zeros((12, 12, 12, 12), bool)
    for filled, (a, b, c, d, e, f) in zip(grid, boxes, strict=True):
        filled[a:d, b:e, c:f] = True
    expected = [[(p & q).sum() / (p | q).sum() for q in grid] for p in grid]
    assert iou(boxes.astype(float), boxes.astype(float)) == pytest.approx(np.array(expected))


def test_the_best_of_a_chain_takes_only_what_it_reaches() -> None:
    # 0 -- 3 -- 6 with radius 4: the best one, in the middle, takes both; were it the worst,
    # the ends would not reach each other.
    centres = np.array([[0.0], [3.0], [6.0]])
    radii = np.full(3, 4.0)
    assert suppress(centres, radii, np.array([0.5, 0.9, 0.6])) == [1]
    assert suppress(centres, radii, np.array([0.8, 0.1, 0.9])) == [2, 0]


def test_the_radius_of_the_better_one_decides() -> None:
    centres, scores = np.array([[0.0], [5.0]]), np.array([0.9, 0.8])
    assert suppress(centres, np.array([4.0, 100.0]), scores) == [0, 1]
    assert suppress(centres, np.array([5.0, 0.0]), scores) == [0]


def test_equal_scores_keep_their_order_and_nothing_gives_nothing() -> None:
    assert suppress(np.array([[0.0], [1.0]]), np.full(2, 2.0), np.full(2, 0.5)) == [0]
    assert suppress(np.empty((0, 3)), np.empty(0), np.empty(0)) == []


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40))
def test_suppression_agrees_with_brute_force(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    centres, radii = rng.uniform(0, 20, (count, 3)), rng.uniform(0, 8, count)
    scores = rng.integers(0, 10, count) / 10.0
    assert suppress(centres, radii, scores) == _brute_force(centres, radii, scores)


def _brute_force(centres: np.ndarray, radii: np.ndarray, scores: np.ndarray) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        near = [sum((centres[index] - centres[k]) ** 2) ** 0.5 <= radii[k] for k in kept]
        if not any(near):
            kept.append(index)
    return kept
