"""Times, durations and sizes as a person reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from dicom_node.states import SeriesState

#: Fractions of a second matter below so many.
_FEW: Final = 10
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400

#: What each state means, in a few words.
MEANINGS: Final = {
    SeriesState.RECEIVING: "instances arrive",
    SeriesState.QUEUED: "wait for analysis",
    SeriesState.ANALYSING: "the plugin is at work",
    SeriesState.DELIVERING: "reports under way",
    SeriesState.DELIVERED: "acknowledged everywhere",
    SeriesState.KEPT: "proved to be kept",
    SeriesState.REFUSED: "not for the plugin",
    SeriesState.FAILED: "need a person",
}


def moment(at: float) -> datetime:
    """Seconds since the epoch as local time."""
    return datetime.fromtimestamp(at).astimezone()


def iso(at: float) -> str:
    """For programs: "2026-03-01T14:05:09+01:00"."""
    return moment(at).isoformat(timespec="seconds")


def time_of_day(at: float) -> str:
    """For people: "2026-03-01 14:05:09"."""
    return f"{moment(at):%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """In the two largest units that matter: "0.42 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < _MINUTE:
        return f"{max(0.0, seconds):.{2 if seconds < _FEW else 0}f} s"
    seconds = round(seconds)
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
    return f"{seconds // _DAY:.0f} d {seconds % _DAY // _HOUR:.0f} h"


def size(count: float) -> str:
    """Bytes in binary units: "3.4 GiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def whole(value: float) -> str:
    """Without fractions, and with a minus sign that is one."""
    return f"{round(value)}".replace("-", "\N{MINUS SIGN}")
