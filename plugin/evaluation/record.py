"""Figures as JSON."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from plugin.evaluation.judge import Meeting
    from plugin.evaluation.summary import Summary


def to_record(summary: Summary) -> dict[str, Any]:
    """Every figure of an evaluation, its curves and its lesions; what is undefined is null.

    docs/evaluation.md describes the keys.
    """
    figures = {field.name: getattr(summary, field.name) for field in fields(summary)}
    lesions = [_lesion(meeting) for meeting in figures.pop("meetings")]
    return {name: _plain(value) for name, value in figures.items()} | {"lesions": lesions}


def _plain(value: Any) -> Any:
    """Dataclasses as objects, arrays as lists, what is not finite as None."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    return value


def _lesion(meeting: Meeting) -> dict[str, Any]:
    truth, finding = meeting.truth, meeting.finding
    return {
        "series": meeting.name,
        "patient": meeting.unit,
        "image": truth.key.name if truth.key else None,
        "type": str(truth.lesion_type),
        "diameter_mm": truth.diameter_mm,
        "axes_mm": truth.axes_mm,
        "findings": meeting.findings,
        "rank": finding.rank if finding else None,
        "score": finding.score if finding else None,
        "measured_mm": finding.axes_mm if finding else None,
    }
