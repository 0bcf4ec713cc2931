"""The walk of a harvest: study by study from a source into the data set."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_node.errors import NoAnswer, NodeError, OutOfSpace, RetrieveRefused, describe
from dicom_node.harvest.pace import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dicom_node.harvest.dataset import Dataset
    from dicom_node.harvest.logbook import Candidate, Logbook

log = logging.getLogger(__name__)

#: After so many studies in a row that could not be fetched, the archive is left alone.
_FAULTS_IN_A_ROW: Final = 5


class Source(Protocol):
    """Where studies come from."""

    def candidates(self) -> Iterator[Candidate]:
        """Studies that may hold bookmarks of people."""
        ...

    def fetch(self, candidate: Candidate) -> Sequence[Path]:
        """The files of a study that the data set needs; none where no person marked anything."""
        ...

    def forget(self, candidate: Candidate) -> None:
        """The files are not needed any more."""
        ...


@dataclass
class Tally:
    """What a harvest has come to."""

    #: Studies that were looked at now, that were done before, and that could not be fetched.
    studies: int = 0
    done_before: int = 0
    failed: int = 0
    #: Studies without a bookmark of a person.
    without: int = 0
    #: Bookmarks that have entered now, and that were in the data set already.
    new: int = 0
    known: int = 0
    #: How often each reason has kept a bookmark or an instance out.
    left_out: dict[str, int] = field(default_factory=dict)
    #: Whether somebody has stopped it.
    was_stopped: bool = False
    #: What the data set holds now.
    summary: Any = None

    def add(self, outcome: Any) -> None:
        """Count what one study gave."""
        self.new += outcome.new
        self.known += outcome.known
        for each in outcome.left_out:
            self.left_out[each.reason] = self.left_out.get(each.reason, 0) + 1


@dataclass(frozen=True)
class Room:
    """Space on the disk that must stay free."""

    #: A folder on it.
    folder: Path
    #: Bytes.
    reserve: int

    def check(self) -> None:
        """Raises OutOfSpace."""
        free = shutil.disk_usage(self.folder).free
        if free < self.reserve:
            raise OutOfSpace(f"{self.folder}: {free >> 20} MiB free, fewer than the reserve")


@dataclass
class Walk:
    """One harvest."""

    #: Where the studies come from.
    source: Source
    #: What is done already.
    logbook: Logbook
    #: What is filled.
    dataset: Dataset
    #: Where there must be room.
    room: Room
    #: Whether we are asked to stop.
    is_stopped: Callable[[], bool] = lambda: False
    #: Hears of the tally after each study.
    on_study: Callable[[Tally], None] = lambda _: None
    #: What it has come to.
    tally: Tally = field(default_factory=Tally, init=False)
    _faults_in_a_row: int = field(default=0, init=False)

    def go(self) -> Tally:
        """Fill the data set, and write its tables even when somebody stops the harvest.

        Raises NodeError when the source does not answer or the disk is full; what was done
        until then is noted, and the next harvest goes on with the rest.
        """
        try:
            for candidate in self.source.candidates():
                self._look_at(candidate)
                self.on_study(self.tally)
            self.logbook.forget_windows()
        except Stopped:
            self.tally.was_stopped = True
        finally:
            self.tally.summary = self.dataset.finish()
        return self.tally

    def _look_at(self, candidate: Candidate) -> None:
        if self.is_stopped():
            raise Stopped
        if self.logbook.is_done(candidate):
            self.tally.done_before += 1
            return
        self.room.check()
        self.tally.studies += 1
        try:
            paths = self.source.fetch(candidate)
        except (NoAnswer, RetrieveRefused, OSError) as error:
            self._give_up(candidate, error)
            return
        self._faults_in_a_row = 0
        self._take_in(candidate, paths)

    def _take_in(self, candidate: Candidate, paths: Sequence[Path]) -> None:
        if paths:
            self.tally.add(self.dataset.add_study(paths))
        else:
            self.tally.without += 1
        self.logbook.note(candidate)
        self.source.forget(candidate)

    def _give_up(self, candidate: Candidate, error: Exception) -> None:
        """Leave a study for the next harvest. Raises NodeError after too many in a row."""
        fault = describe(error)
        log.warning("LM322 study %s is left for later: %s", candidate.study_uid, fault)
        self.logbook.note(candidate, fault)
        self.source.forget(candidate)
        self.tally.failed += 1
        self._faults_in_a_row += 1
        if self._faults_in_a_row == _FAULTS_IN_A_ROW:
            raise NodeError(f"{_FAULTS_IN_A_ROW} studies in a row could not be fetched: {fault}")
