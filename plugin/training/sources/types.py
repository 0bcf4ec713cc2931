"""From the words of a data set to a lesion type's place in the order of LesionType."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin.bookmark import LesionType

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACES = {kind: number for number, kind in enumerate(LesionType)}


def place(lesion_type: LesionType | None) -> int | None:
    """Place of a type, from 0; None where nobody gave it."""
    return None if lesion_type is None else _PLACES[lesion_type]


def place_of(label: str, types: Mapping[str, str]) -> int | None:
    """Place of what a label means: as `types` translates it, or as it is; None for other words."""
    meant = types.get(label, label).lower()
    return next((number for kind, number in _PLACES.items() if kind.value == meant), None)
