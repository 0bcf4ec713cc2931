"""What the overview counts: the day by hours, the queue of each destination."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

from dicom_node.states import DeliveryState, SeriesState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dicom_node.config_tables import Destination
    from dicom_node.standing import DeliveryStatus, SeriesStatus

_HOURS: Final = 24
_HOUR_S: Final = 3600.0
#: The queue may know when something ended only to the second.
_SLACK_S: Final = 1.0
_WAITING: Final = (DeliveryState.WAITING, DeliveryState.RETRYING)


@dataclass(frozen=True)
class Hour:
    """One hour of the day."""

    #: Its beginning, seconds since the epoch.
    start: float
    #: Series whose report reached the last destination.
    reported: int
    #: Series that were refused or failed.
    without: int
    #: Median seconds from the whole series to its report at every destination; None for none.
    turnaround_s: float | None


@dataclass(frozen=True)
class Day:
    """The last 24 hours."""

    #: Oldest first; the last one is running.
    hours: tuple[Hour, ...]
    #: Series whose report reached the last destination.
    reported: int
    #: Series that were refused or failed.
    without: int
    #: Median turn-around, s; None for none.
    median_s: float | None
    #: Turn-around that 19 of 20 series did not exceed, s; None for none.
    p95_s: float | None


@dataclass(frozen=True)
class Outlet:
    """One destination and what waits for it."""

    #: As configured.
    peer: Destination
    #: Reports not tried yet, or being sent.
    waiting: int
    #: Reports whose last try failed and that are tried again.
    retrying: int
    #: Reports that were given up.
    failed: int
    #: Reports that it acknowledged within the last 24 hours.
    delivered: int
    #: When the oldest of those became whole that wait or are tried again, seconds since the epoch;
    #: None when none does.
    oldest_at: float | None
    #: Its last answer; None before the first.
    last: DeliveryStatus | None


def day(statuses: Sequence[SeriesStatus], now: datetime) -> Day:
    """The last 24 hours by the clock's hours."""
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    first = end.timestamp() - _HOURS * _HOUR_S
    times: list[list[float]] = [[] for _ in range(_HOURS)]
    without = [0] * _HOURS
    for status in statuses:
        if (status.ended_at or 0.0) < first - _SLACK_S:
            continue
        ended_at, turnaround_s = _end(status)
        hour = int((ended_at - first) // _HOUR_S)
        if not 0 <= hour < _HOURS:
            continue
        if turnaround_s is None:
            without[hour] += 1
        else:
            times[hour].append(turnaround_s)
    hours = tuple(
        Hour(first + n * _HOUR_S, len(times[n]), without[n], median(times[n]) if times[n] else None)
        for n in range(_HOURS)
    )
    every = [turnaround_s for of_one in times for turnaround_s in of_one]
    return Day(
        hours,
        len(every),
        sum(without),
        median(every) if every else None,
        _p95(every),
    )


def outlets(
    statuses: Sequence[SeriesStatus], peers: Sequence[Destination], now: float
) -> list[Outlet]:
    """The queue of each destination, in the order of the configuration."""
    found: dict[str, list[tuple[SeriesStatus, DeliveryStatus]]] = {peer.name: [] for peer in peers}
    for status in statuses:
        for delivery in status.deliveries:
            if delivery.id.destination in found:
                found[delivery.id.destination].append((status, delivery))
    return [_outlet(peer, found[peer.name], now) for peer in peers]


def _outlet(
    peer: Destination, found: Sequence[tuple[SeriesStatus, DeliveryStatus]], now: float
) -> Outlet:
    states = [delivery.state for _, delivery in found]
    missing = [status.whole_at for status, delivery in found if delivery.state in _WAITING]
    answered = [delivery for _, delivery in found if delivery.at is not None]
    acknowledged = [delivery.acknowledged_at for _, delivery in found]
    return Outlet(
        peer,
        waiting=states.count(DeliveryState.WAITING),
        retrying=states.count(DeliveryState.RETRYING),
        failed=states.count(DeliveryState.FAILED),
        delivered=sum(at is not None and now - at < _HOURS * _HOUR_S for at in acknowledged),
        oldest_at=min(missing, default=None),
        last=max(answered, key=lambda delivery: delivery.at or 0.0, default=None),
    )


def _end(status: SeriesStatus) -> tuple[float, float | None]:
    """When a series ended, and its turn-around if it was reported; (0, None) while it runs."""
    if status.turnaround_s is not None:
        return status.whole_at + status.turnaround_s, status.turnaround_s
    if status.state in (SeriesState.REFUSED, SeriesState.FAILED):
        return status.ended_at or 0.0, None
    return 0.0, None


def _p95(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=20, method="inclusive")[-1]
