"""Errors of measured diameters against the readers'. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.evaluation.resampling import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Standard deviations from the mean to the limits of agreement.
AGREEMENT = 1.96


@dataclass(frozen=True)
class AxisError:
    """How measured lengths differ from true ones (Bland and Altman 1986), mm."""

    #: Lengths compared.
    count: int
    #: Mean of the absolute differences.
    mean_absolute: Estimate
    #: Median of the absolute differences.
    median_absolute: Estimate
    #: Mean difference, measured minus true.
    bias: Estimate
    #: Limits of agreement: bias minus and plus 1.96 standard deviations.
    lower_limit: Estimate
    upper_limit: Estimate


def axis_error(
    measured: Sequence[float], true: Sequence[float], units: Sequence[str]
) -> AxisError | None:
    """Compare lengths in mm; `units` names the patient or scan of each. None without any."""
    if not len(measured):
        return None
    difference = np.asarray(measured, float) - np.asarray(true, float)
    names, unit = np.unique(np.asarray(units), return_inverse=True)

    def figures(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        return _figures(np.repeat(difference, drawn[unit]))

    return AxisError(len(difference), *estimate(figures, np.ones(len(names), np.bool_)))


def _figures(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fields of an AxisError after its count."""
    absolute, bias = np.abs(difference), difference.mean()
    # The spread of a sample, as Bland and Altman have it; of a single difference there is none.
    spread = AGREEMENT * difference.std(ddof=1) if len(difference) > 1 else np.nan
    return np.array([absolute.mean(), np.median(absolute), bias, bias - spread, bias + spread])
