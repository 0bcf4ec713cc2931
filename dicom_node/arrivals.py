"""Which open association has brought instances of which series."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from dicom_node.spool import Shelf

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from dicom_node.arriving import Marks

#: A series on one shelf of the spool.
Place = tuple[Shelf, str]


class Arrivals:
    """Knows open associations only; safe to use from all their threads."""

    def __init__(self, marks: Marks) -> None:
        """`marks` tell the other processes of the node."""
        self._marks = marks
        self._lock = Lock()
        self._open: dict[Association, set[Place]] = {}
        self._ended: WeakSet[Association] = WeakSet()

    def is_new(self, association: Association, place: Place) -> bool:
        """Whether this association has not brought that series before.

        An association can end while its last instance is still being written; what comes
        after the end is new every time, because nobody will be told of an end again.
        """
        with self._lock:
            return association in self._ended or place not in self._open.get(association, ())

    def join(self, association: Association, place: Place) -> bool:
        """Whether another open association brings that series; this one then does so, too.

        What was told of the other serves both: while one of them is open the series is looked at
        again, and the last of them to end tells of the end.
        """
        with self._lock:
            if association in self._ended or not self._arrives(place):
                return False
            self._open.setdefault(association, set()).add(place)
            return True

    def add(self, association: Association, place: Place) -> None:
        """The association has brought an instance of that series. Raises OSError."""
        with self._lock:
            if association not in self._ended:
                if place[0] is Shelf.SERIES:
                    self._marks.add(place[1])
                self._open.setdefault(association, set()).add(place)

    def end(self, association: Association) -> list[Place]:
        """The association is over; what it has brought and no open one brings."""
        with self._lock:
            self._ended.add(association)
            brought = sorted(self._open.pop(association, ()))
            last = [place for place in brought if not self._arrives(place)]
            for shelf, series_uid in last:
                if shelf is Shelf.SERIES:
                    self._marks.discard(series_uid)
            return last

    def _arrives(self, place: Place) -> bool:
        return any(place in places for places in self._open.values())
