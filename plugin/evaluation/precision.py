"""Precision against recall. Pure functions.

Of the findings above a threshold, those that hit a lesion for the first time are right and those
that meet none are wrong; further findings on a lesion are left out, as in the FROC curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.evaluation.froc import MISSED

if TYPE_CHECKING:
    from plugin.evaluation.froc import Array, Evidence, Indices


@dataclass(frozen=True)
class PrecisionRecall:
    """Points of a precision-recall curve, from the highest threshold to the lowest."""

    #: Least score of a finding that counts, falling.
    thresholds: Array
    #: Share of the lesions that are hit, not falling.
    recall: Array
    #: Share of the findings that are right.
    precision: Array


def precision_recall(evidence: Evidence, drawn: Indices | None = None) -> PrecisionRecall:
    """Precision and recall at each score that occurs; `drawn` [units] weighs the units."""
    counts = evidence.once() if drawn is None else drawn
    scores = np.concatenate([evidence.hits, evidence.wrong])
    right = np.arange(len(scores)) < len(evidence.hits)
    weights = counts[np.concatenate([evidence.hit_units, evidence.wrong_units])]
    falling = np.argsort(-scores, kind="stable")
    falling = falling[scores[falling] > MISSED]
    found = np.cumsum((weights * right)[falling])
    said = np.cumsum(weights[falling])
    ordered = scores[falling]
    # Equal scores fall together: only the last of each is a point; without weight there is none.
    last = np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)] & (said > 0)
    lesions = max(int(counts[evidence.hit_units].sum()), 1)
    return PrecisionRecall(ordered[last], found[last] / lesions, found[last] / said[last])


def average_precision(evidence: Evidence, drawn: Indices | None = None) -> float:
    """Area under the precision-recall curve, read as a staircase; 0 where nothing is hit."""
    points = precision_recall(evidence, drawn)
    gained = np.diff(points.recall, prepend=0.0)
    return float(gained @ points.precision)
