"""Bootstrap intervals (Efron 1979) over units that hold several lesions. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    #: Figures of a sample in which each unit counts as often as it says, [units] -> [figures].
    Statistic = Callable[[NDArray[np.intp]], Sequence[float] | NDArray[np.float64]]

#: Samples drawn.
ROUNDS = 1000
#: Of the drawing: the same data give the same intervals.
SEED = 0
#: Share of the samples on either side of an interval of 95 %, percent.
TAILS = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """One figure and how sure it is."""

    #: From the sample itself.
    value: float
    #: 95 % bootstrap interval.
    interval: tuple[float, float]


def estimate(
    statistic: Statistic,
    strata: NDArray[np.bool_],
    rounds: int = ROUNDS,
    seed: int = SEED,
) -> list[Estimate]:
    """Figures with their intervals; the units of each stratum are drawn with replacement.

    `strata` [units] keeps apart what was chosen apart, such as scans with lesions and lesion-free
    ones. Samples in which a figure is undefined (NaN) do not count; an interval is NaN where
    all of them are.
    """
    rng = np.random.default_rng(seed)
    values = np.asarray(statistic(np.ones(len(strata), np.intp)), np.float64)
    drawn = np.array([statistic(_draw(strata, rng)) for _ in range(rounds)]).reshape(rounds, -1)
    return [
        Estimate(float(value), _interval(column))
        for value, column in zip(values, drawn.T, strict=True)
    ]


def _draw(strata: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """How often each unit is drawn, [units]."""
    counts = np.zeros(len(strata), np.intp)
    for stratum in (True, False):
        members = np.flatnonzero(strata == stratum)
        if len(members):
            chosen = rng.integers(len(members), size=len(members))
            counts[members] = np.bincount(chosen, minlength=len(members))
    return counts


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, TAILS)
    return float(low), float(high)
