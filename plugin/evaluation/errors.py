"""Errors of measured diameters against the readers'. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class AxisError:
    """How measured lengths differ from true ones (Bland and Altman 1986), mm."""

    #: Lengths compared.
    count: int
    #: Mean of the absolute differences.
    mean_absolute: float
    #: Median of the absolute differences.
    median_absolute: float
    #: Mean difference, measured minus true.
    bias: float
    #: Limits of agreement: bias minus and plus 1.96 standard deviations.
    limits: tuple[float, float]


def axis_error(measured: Sequence[float], true: Sequence[float]) -> AxisError | None:
    """Compare lengths in mm; None without any."""
    if not len(measured):
        return None
    difference = np.asarray(measured, float) - np.asarray(true, float)
    bias, spread = float(difference.mean()), 1.96 * float(difference.std())
    absolute = np.abs(difference)
    return AxisError(
        count=len(difference),
        mean_absolute=float(absolute.mean()),
        median_absolute=float(np.median(absolute)),
        bias=bias,
        limits=(bias - spread, bias + spread),
    )
