"""The day as two small charts: where each bar stands, in units of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dicom_node.web import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_node.web.figures import Day

#: The picture.
WIDTH: Final = 720
HEIGHT: Final = 150
_LEFT: Final = 44
_RIGHT: Final = 16
_TOP: Final = 12
_BOTTOM: Final = 22
#: Part of an hour's width that its bar takes.
_FILL: Final = 0.72


@dataclass(frozen=True)
class Bar:
    """One bar, or one part of it."""

    #: Left, top, width and height.
    x: float
    y: float
    width: float
    height: float
    #: "good" or "bad".
    kind: str
    #: What it stands for.
    title: str


@dataclass(frozen=True)
class Label:
    """A number at an axis."""

    #: Where.
    x: float
    y: float
    #: The words.
    text: str


@dataclass(frozen=True)
class Chart:
    """One chart of 24 hours."""

    #: What is drawn.
    bars: tuple[Bar, ...]
    #: Every sixth hour, below.
    hours: tuple[Label, ...]
    #: The height of the highest bar, in words.
    top: str


def throughput(day: Day) -> Chart:
    """Series by the hour: those reported, and on top of them those without a report."""
    highest = max(1, *(hour.reported + hour.without for hour in day.hours))
    bars: list[Bar] = []
    for number, hour in enumerate(day.hours):
        begins = f"{words.moment(hour.start):%H:%M}"
        parts = (("good", hour.reported, "reported"), ("bad", hour.without, "without a report"))
        below = 0
        for kind, count, what in parts:
            if count:
                title = f"{begins}: {count} {what}"
                bars.append(_bar(number, below / highest, count / highest, kind, title))
            below += count
    return Chart(tuple(bars), _hours(day), str(highest))


def turnaround(day: Day) -> Chart:
    """Median seconds from the whole series to its report at every destination, by the hour."""
    times = [hour.turnaround_s for hour in day.hours]
    highest = max((time for time in times if time), default=1.0)
    bars = tuple(
        _bar(
            number,
            0.0,
            time / highest,
            "good",
            f"{words.moment(day.hours[number].start):%H:%M}: {words.duration(time)}",
        )
        for number, time in enumerate(times)
        if time is not None
    )
    return Chart(bars, _hours(day), words.duration(highest))


def _bar(number: int, below: float, part: float, kind: str, title: str) -> Bar:
    """`below` and `part` as fractions of the full height."""
    step = (WIDTH - _LEFT - _RIGHT) / 24
    room = HEIGHT - _TOP - _BOTTOM
    height = max(1.5, part * room)
    y = HEIGHT - _BOTTOM - below * room - height
    return Bar(
        round(_LEFT + (number + (1 - _FILL) / 2) * step, 1),
        round(y, 1),
        round(step * _FILL, 1),
        round(height, 1),
        kind,
        title,
    )


def _hours(day: Day) -> tuple[Label, ...]:
    step = (WIDTH - _LEFT - _RIGHT) / 24
    return tuple(
        Label(round(_LEFT + (number + 0.5) * step, 1), HEIGHT - 6, f"{moment:%H}:00")
        for number, hour in enumerate(day.hours)
        if (moment := words.moment(hour.start)).hour % 4 == 0
    )


def columns(day: Day) -> Sequence[tuple[str, int, int, str]]:
    """The same in figures: hour, reported, without a report, turn-around; empty hours left out."""
    return [
        (
            f"{words.moment(hour.start):%H:%M}",
            hour.reported,
            hour.without,
            "" if hour.turnaround_s is None else words.duration(hour.turnaround_s),
        )
        for hour in day.hours
        if hour.reported or hour.without
    ]
