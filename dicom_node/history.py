"""Where every series stands, kept in memory and brought up to date with what has changed.

The work queue stays the only record: whoever starts anew reads it once as a whole, and from
then on only what is not over and what ended since.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

from dicom_node import standing
from dicom_node.standing import ACTIVE, Work, work_of
from dicom_node.states import SeriesState
from dicom_node.work import ANALYSE, DELIVER, PROVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbos import WorkflowStatus

    from dicom_node.standing import SeriesStatus

_NAMES: Final = [ANALYSE, DELIVER, PROVE]
#: What ended so long before the last look is read once more, s: the clocks of several workers
#: differ, and what ends is stamped a moment before it can be read.
_OVERLAP_S: Final = 60.0
#: Workflows that are asked for by their ids at a time.
_CHUNK: Final = 500


class Queue(Protocol):
    """The part of dbos that lists work."""

    def list_workflows(
        self,
        *,
        workflow_ids: list[str] | None = None,
        name: str | list[str] | None = None,
        status: str | list[str] | None = None,
        completed_after: str | None = None,
        load_input: bool = True,
        load_output: bool = True,
    ) -> list[WorkflowStatus]:
        """Work that matches, oldest first."""
        ...


class History:
    """Every series and revision that the work queue knows; safe to use from several threads."""

    def __init__(
        self,
        queue: Queue,
        arriving: Callable[[], list[SeriesStatus]],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`arriving` gives the series that wait to be looked at; `now` seconds since the epoch."""
        self._queue = queue
        self._arriving = arriving
        self._now = now
        self._reading = Lock()
        self._lock = Lock()
        self._works: dict[str, dict[str, Work]] = {}
        self._statuses: dict[str, list[SeriesStatus]] = {}
        #: Series of which something is not over.
        self._open: set[str] = set()
        #: All statuses, newest first; None when they have changed since.
        self._sorted: list[SeriesStatus] | None = None
        self._seen_at: float | None = None

    def reread(self) -> None:
        """Read everything anew, because retention deletes from the queue; to be done at times.

        Nobody has to wait for it who asks meanwhile.
        """
        with self._reading:
            self._reread()

    def statuses(self) -> list[SeriesStatus]:
        """Every series and revision as of now, newest first.

        Series that arrive have an entry of their own, until their analysis is ordered.
        """
        self._begin()
        with self._lock:
            arriving = self._arriving()
            self._look()
            known = self._known()
        return sorted([*arriving, *known], key=_age) if arriving else list(known)

    def works(self, series_uid: str) -> list[Work]:
        """All analyses, deliveries and proofs of one series as of now, oldest first."""
        self._begin()
        with self._lock:
            self._look()
            works = self._works.get(series_uid, {}).values()
            return sorted(works, key=_place)

    def _begin(self) -> None:
        """Whoever comes first reads everything; whoever comes meanwhile waits for that."""
        with self._reading:
            if self._seen_at is None:
                self._reread()

    def _reread(self) -> None:
        now = self._now()
        works: dict[str, dict[str, Work]] = defaultdict(dict)
        for work in self._list():
            works[work.series_uid][work.id] = work
        statuses = {uid: standing.statuses(of_one.values()) for uid, of_one in works.items()}
        with self._lock:
            self._works, self._statuses, self._seen_at = dict(works), statuses, now
            self._open = {uid for uid, of_one in statuses.items() if _is_open(of_one)}
            self._sorted = None

    def _known(self) -> list[SeriesStatus]:
        if self._sorted is None:
            every = (status for of_one in self._statuses.values() for status in of_one)
            self._sorted = sorted(every, key=_age)
        return self._sorted

    def _look(self) -> None:
        now = self._now()
        self._note(self._news(since=self._seen_at or 0.0))
        self._seen_at = now

    def _news(self, since: float) -> list[Work]:
        """What is not over, what ended since the last look, and what has vanished since."""
        # In this order: what ends between the two questions is found by the second.
        active = self._list(status=list(ACTIVE))
        after = datetime.fromtimestamp(max(0.0, since - _OVERLAP_S), UTC).isoformat()
        ended = self._list(completed_after=after)
        found = {work.id for work in (*active, *ended)}
        lost = [work.id for work in self._active() if work.id not in found]
        return [*active, *self._again(lost), *ended]

    def _again(self, lost: list[str]) -> list[Work]:
        """Work that was active at the last look, whatever became of it, unless it was deleted."""
        works: list[Work] = []
        for start in range(0, len(lost), _CHUNK):
            works += self._list(workflow_ids=lost[start : start + _CHUNK])
        for gone in set(lost) - {work.id for work in works}:
            series_uid = gone.split("/")[1]
            del self._works[series_uid][gone]
            self._judge(series_uid)
        return works

    def _active(self) -> list[Work]:
        return [
            work
            for series_uid in self._open
            for work in self._works[series_uid].values()
            if work.is_active
        ]

    def _note(self, works: Iterable[Work]) -> None:
        changed: dict[str, list[Work]] = defaultdict(list)
        for work in works:
            if self._works.get(work.series_uid, {}).get(work.id) != work:
                changed[work.series_uid].append(work)
        for series_uid, of_one in changed.items():
            known = self._works.setdefault(series_uid, {})
            known.update((work.id, work) for work in of_one)
            self._judge(series_uid)

    def _judge(self, series_uid: str) -> None:
        statuses = standing.statuses(self._works[series_uid].values())
        self._statuses[series_uid], self._sorted = statuses, None
        (self._open.add if _is_open(statuses) else self._open.discard)(series_uid)

    def _list(
        self,
        *,
        workflow_ids: list[str] | None = None,
        status: list[str] | None = None,
        completed_after: str | None = None,
    ) -> list[Work]:
        found = self._queue.list_workflows(
            workflow_ids=workflow_ids,
            name=_NAMES,
            status=status,
            completed_after=completed_after,
            load_input=False,
        )
        return list(map(work_of, found))


def _place(work: Work) -> tuple[float, bool, int]:
    """The queue may know times only to the second."""
    return work.created_at, work.name != ANALYSE, work.attempt


def _age(status: SeriesStatus) -> float:
    """Sorts the newest first."""
    return -status.since


def _is_open(statuses: Iterable[SeriesStatus]) -> bool:
    return not all(status.is_settled for status in statuses)


def count(statuses: Iterable[SeriesStatus]) -> dict[SeriesState, int]:
    """How many stand in each state, in the order of the walk; states without any included."""
    found = Counter(status.state for status in statuses)
    return {state: found[state] for state in SeriesState}
