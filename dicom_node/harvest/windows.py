"""Dates of studies, in windows small enough for an archive that limits its answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Days of the first windows; an archive searches them faster than many years.
_DAYS = 30
_DAY_H = 24


@dataclass(frozen=True)
class Window:
    """Days, or some hours of one day."""

    #: First and last day.
    first: date
    last: date
    #: Hours of the day, from the first one up to and without the last one.
    hours: tuple[int, int] = (0, _DAY_H)

    @property
    def study_date(self) -> str:
        """Range matching of Study Date (PS3.4 C.2.2.2.5)."""
        return f"{self.first:%Y%m%d}-{self.last:%Y%m%d}"

    @property
    def study_time(self) -> str:
        """Range matching of Study Time; empty, which matches all, for whole days."""
        if self.hours == (0, _DAY_H):
            return ""
        return f"{self.hours[0]:02}0000-{self.hours[1] - 1:02}5959.999999"

    @property
    def name(self) -> str:
        """Tells windows apart."""
        return f"{self.study_date} {self.study_time}".rstrip()

    def halves(self) -> tuple[Window, Window] | None:
        """Two windows that make up this one; None for a single hour."""
        days = (self.last - self.first).days
        if days:
            middle = self.first + timedelta(days=days // 2)
            return replace(self, last=middle), replace(self, first=middle + timedelta(days=1))
        begin, end = self.hours
        if end - begin == 1:
            return None
        noon = (begin + end) // 2
        return replace(self, hours=(begin, noon)), replace(self, hours=(noon, end))


def windows(first: date, last: date) -> Iterator[Window]:
    """Windows that follow each other from the first to the last day, both included."""
    while first <= last:
        end = min(last, first + timedelta(days=_DAYS - 1))
        yield Window(first, end)
        first = end + timedelta(days=1)
