"""How fast an archive is asked, and when: it has patients to serve."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.hours import Hours

#: How long to wait at most without a look at the clock, which may be set, seconds.
_LONGEST_WAIT_S = 60.0
_MINUTE_S = 60.0


class Stopped(Exception):
    """Somebody has asked the harvest to stop."""


@dataclass
class Pace:
    """Lets one association begin after the other."""

    #: The hours of the day in which to ask.
    hours: Hours
    #: Associations, and instances that come over them, in a minute.
    associations_per_minute: float
    instances_per_minute: float
    #: Waits so many seconds, or less; whether we are asked to stop.
    wait: Callable[[float], bool]
    #: Hears how many seconds there are until the hours begin.
    on_closed: Callable[[float], None] = lambda _: None
    #: The time of the day.
    now: Callable[[], datetime] = datetime.now
    #: Seconds, from any beginning, that never go back.
    clock: Callable[[], float] = monotonic
    _next_at: float = field(default=0.0, init=False)

    def turn(self) -> None:
        """Wait until the next association may begin. Raises Stopped."""
        while (remaining_s := self._remaining_s()) > 0:
            if self.wait(min(remaining_s, _LONGEST_WAIT_S)):
                raise Stopped
        if self.wait(0.0):
            raise Stopped
        self._next_at = self.clock() + _MINUTE_S / self.associations_per_minute

    def came(self, instances: int) -> None:
        """So many instances have come; the next turn waits until they have had their time."""
        self._next_at += instances * _MINUTE_S / self.instances_per_minute

    def is_over(self) -> bool:
        """Whether what is under way should end."""
        return self.wait(0.0) or self.hours.opens_in_s(self.now()) > 0

    def _remaining_s(self) -> float:
        closed_s = self.hours.opens_in_s(self.now())
        if closed_s > 0:
            self.on_closed(closed_s)
        return max(closed_s, self._next_at - self.clock())
