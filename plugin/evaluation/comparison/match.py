"""Which bookmark of the AI is which of the radiologists'. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from plugin.evaluation.froc import meets_luna16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.evaluation.comparison.marks import Lesion

#: The rule, for the page.
RULE = (
    "An AI bookmark matches a radiologist's when its centre lies nearer to the centre of the "
    "radiologist's than half of that one's diameter (the rule of LUNA16). A radiologist's lesion "
    "counts once, with the AI bookmark of the best score that is not nearer to another one; "
    "further ones on it are not extra."
)


class Outcome(StrEnum):
    """What became of a lesion."""

    #: Both sides have it.
    MATCHED = "matched"
    #: Only the radiologists have it.
    MISSED = "missed"
    #: Only the AI has it.
    EXTRA = "extra"


@dataclass(frozen=True)
class Pair:
    """A lesion and what each side says of it; one side may be None."""

    #: Series Instance UID, or the name of the slices in DeepLesion.
    scan: str
    radiologist: Lesion | None
    ai: Lesion | None

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        if self.radiologist is None:
            return Outcome.EXTRA
        return Outcome.MISSED if self.ai is None else Outcome.MATCHED

    @property
    def differences_mm(self) -> tuple[float, float] | None:
        """Long and short axis, AI minus radiologist, mm; None unless both measured both."""
        if not (self.radiologist and self.ai and self.radiologist.axes_mm and self.ai.axes_mm):
            return None
        (long_ai, short_ai), (long_axis, short_axis) = self.ai.axes_mm, self.radiologist.axes_mm
        return long_ai - long_axis, short_ai - short_axis


def pairs(scan: str, radiologists: Sequence[Lesion], ai: Sequence[Lesion]) -> list[Pair]:
    """Every lesion of one scan: the radiologists' in their order, then what only the AI has."""
    ranked = sorted(ai, key=lambda each: -each.score)
    meets = meets_luna16(
        np.array([each.centre for each in ranked]).reshape(-1, 3),
        np.array([each.centre for each in radiologists]).reshape(-1, 3),
        np.array([each.diameter_mm for each in radiologists]),
    )  # [AI, radiologists]
    partners = _partners(ranked, radiologists, meets)
    found = [
        Pair(scan, lesion, None if number is None else ranked[number])
        for lesion, number in zip(radiologists, partners, strict=True)
    ]
    extra = [each for each, row in zip(ranked, meets, strict=True) if not row.any()]
    return found + [Pair(scan, None, each) for each in extra]


def _partners(
    ranked: Sequence[Lesion], radiologists: Sequence[Lesion], meets: NDArray[np.bool_]
) -> list[int | None]:
    """For each lesion of the radiologists the AI's, by its place in `ranked`; None for a miss.

    The best score chooses first, of the lesions it meets and nobody has the nearest. A lesion that
    is left over shares the best of those that meet it: one finding may be on two lesions.
    """
    partners: list[int | None] = [None] * len(radiologists)
    for number, row in enumerate(meets):
        free = [index for index in np.flatnonzero(row).tolist() if partners[index] is None]
        if free:
            centre = ranked[number].centre
            away = [float(np.linalg.norm(radiologists[each].centre - centre)) for each in free]
            partners[free[int(np.argmin(away))]] = number
    for index, column in enumerate(meets.T):
        if partners[index] is None and column.any():
            partners[index] = int(column.argmax())
    return partners
