"""Hours of the day in which something may be done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_HOURS = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY_MIN = 24 * 60


@dataclass(frozen=True)
class Hours:
    """From a time of the day to another one, which may lie on the next day."""

    #: Minutes since midnight at which they begin.
    begin: int
    #: Minutes since midnight at which they are over.
    end: int

    @staticmethod
    def parse(text: str) -> Hours:
        """Read "19:00-06:30". Raises ValueError."""
        found = _HOURS.fullmatch(text)
        if found is None:
            raise ValueError('must be two times of the day, such as "19:00-06:30"')
        begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        if max(begin, end) > _DAY_MIN or begin == end:
            raise ValueError("must be two different times from 00:00 to 24:00")
        return Hours(begin % _DAY_MIN, end)

    def opens_in_s(self, now: datetime) -> float:
        """Seconds until they begin; 0 within them."""
        minute = now.hour * 60 + now.minute
        if self._hold(minute):
            return 0.0
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        day = timedelta(days=1) if minute >= self.begin else timedelta()
        return (midnight + day + timedelta(minutes=self.begin) - now).total_seconds()

    def _hold(self, minute: int) -> bool:
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end
