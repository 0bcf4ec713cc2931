"""A PACS as a source: found by C-FIND, fetched by C-GET or C-MOVE (PS3.4 C)."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydicom import Dataset

from dicom_node import query
from dicom_node.errors import NoAnswer, NodeError, RetrieveRefused, TooManyMatches
from dicom_node.harvest.dataset import marks_of_people
from dicom_node.harvest.logbook import Candidate
from dicom_node.harvest.windows import windows
from dicom_node.retrieval import Wanted
from dicom_node.spool import is_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from dicom_node.config_tables import QueryPeer
    from dicom_node.harvest.logbook import Logbook
    from dicom_node.harvest.pace import Pace
    from dicom_node.harvest.selection import Selection
    from dicom_node.harvest.windows import Window
    from dicom_node.retrieval import Retrieved

log = logging.getLogger(__name__)

#: Modalities of series that may hold bookmarks. Key Object Selections point at images, but
#: measure nothing.
OBJECT_MODALITIES: Final = ("SR", "PR", "RTSTRUCT")
#: Instances that are asked for by one request.
_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Ways:
    """How to ask an archive."""

    #: Whom.
    peer: QueryPeer
    #: Our AE title.
    ae_title: str
    #: Fetches into a folder, by C-GET or C-MOVE; may end early when `Pace.is_over`.
    fetch: Callable[[Wanted, Path], Retrieved]
    #: How fast, and when.
    pace: Pace
    #: So many answers to one query, or more, are taken for cut off; 0 for never.
    most_answers: int
    #: Slices to fetch before and behind each key slice.
    slices_around: int
    #: Hears of every query (PS3.15 A.5.3.10).
    on_query: Callable[[Dataset], None]


class Archive:
    """Finds studies with bookmarks in a PACS, and fetches what is needed of each."""

    def __init__(self, ways: Ways, selection: Selection, logbook: Logbook, folder: Path) -> None:
        """`folder` takes the instances of each study until the data set has them.

        Raises NodeError for a selection without dates, which no archive could answer.
        """
        if selection.first is None or selection.last is None:
            raise NodeError("an archive is asked for a range of dates: say --from")
        self._windows = list(windows(selection.first, selection.last))
        self._ways = ways
        self._selection = selection
        self._logbook = logbook
        self._folder = folder

    def candidates(self) -> Iterator[Candidate]:
        """Studies whose last try has failed, then window by window those not asked about yet."""
        for study_uid in self._logbook.failed():
            still_there = list(self._candidate(study_uid))
            if not still_there:
                self._logbook.forget(study_uid)
            yield from still_there
        for window in self._windows:
            name = f"{self._selection.name} {window.name}"
            if not self._logbook.is_asked(name):
                for study_uid in self._studies(window):
                    yield from self._candidate(study_uid)
                self._logbook.note_asked(name)

    def fetch(self, candidate: Candidate) -> list[Path]:
        """The objects with bookmarks of people, and their images; nothing where there are none.

        Raises NoAnswer, RetrieveRefused, and Stopped.
        """
        study_uid = candidate.study_uid
        folder = self._folder / study_uid
        objects = [
            path
            for series in self._objects(self._series(study_uid))
            for path in self._retrieve(Wanted(study_uid, str(series.SeriesInstanceUID)), folder)
        ]
        marks = marks_of_people(objects)
        images = [
            path
            for series_uid, key_slices in sorted(marks.images.items())
            for path in self._images(study_uid, series_uid, key_slices, folder)
        ]
        return [*objects, *images] if marks.count else []

    def forget(self, candidate: Candidate) -> None:
        """Delete what was fetched of a study."""
        shutil.rmtree(self._folder / candidate.study_uid, ignore_errors=True)

    def _studies(self, window: Window) -> list[str]:
        """Study Instance UIDs of a window, asked for in smaller ones where they are too many."""
        answers, is_cut_off = self._ask(window)
        halves = window.halves() if is_cut_off else None
        if halves is not None:
            return list(dict.fromkeys(uid for half in halves for uid in self._studies(half)))
        if is_cut_off:
            log.warning("LM320 %s: more studies than the archive lists", window.name)
        found = (answer for answer in answers if self._may_have_images(answer))
        return list(dict.fromkeys(filter(is_uid, map(_study_uid, found))))

    def _ask(self, window: Window) -> tuple[list[Dataset], bool]:
        """The studies of a window, and whether there are more than the archive says."""
        studies, is_cut_off = list[Dataset](), False
        for modality in OBJECT_MODALITIES:
            answers: list[Dataset] = []
            try:
                for answer in self._find(_study_query(window, modality)):
                    answers.append(answer)  # noqa: PERF402 - those before a fault count
            except TooManyMatches:
                is_cut_off = True
            most = self._ways.most_answers
            is_cut_off |= bool(most) and len(answers) >= most
            studies += answers
        return studies, is_cut_off

    def _may_have_images(self, study: Dataset) -> bool:
        """An archive need not say what modalities a study has."""
        stated = study.get("ModalitiesInStudy") or ()
        modalities = [stated] if isinstance(stated, str) else stated
        return not modalities or self._selection.modality in modalities

    def _candidate(self, study_uid: str) -> Iterator[Candidate]:
        """A study, if it has bookmark objects and images that were asked for.

        One that the archive says nothing about is a candidate, too: `fetch` will tell.
        """
        try:
            objects = self._objects(self._series(study_uid))
        except NoAnswer:
            yield Candidate(study_uid, "")
            return
        if objects:
            yield Candidate(study_uid, " ".join(sorted(map(_signature, objects))))

    def _objects(self, series: list[Dataset]) -> list[Dataset]:
        """The series that may hold bookmarks; none where no series has images as wanted."""
        if not any(map(self._is_selected, series)):
            return []
        return [each for each in series if each.get("Modality") in OBJECT_MODALITIES]

    def _is_selected(self, series: Dataset) -> bool:
        part = self._selection.body_part
        stated = str(series.get("BodyPartExamined") or "").upper()
        return series.get("Modality") == self._selection.modality and part in ("", stated)

    def _series(self, study_uid: str) -> list[Dataset]:
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "SERIES", study_uid
        wanted.SeriesInstanceUID = wanted.Modality = wanted.BodyPartExamined = ""
        wanted.NumberOfSeriesRelatedInstances = None
        return [each for each in self._find(wanted) if each.get("SeriesInstanceUID")]

    def _images(
        self, study_uid: str, series_uid: str, key_slices: set[str], folder: Path
    ) -> list[Path]:
        """The slices around the key slices; the whole series where they cannot be told."""
        chosen = self._slices(study_uid, series_uid, key_slices)
        whole = Wanted(study_uid, series_uid)
        if not chosen:
            return self._retrieve(whole, folder)
        some = [tuple(chosen[at : at + _AT_ONCE]) for at in range(0, len(chosen), _AT_ONCE)]
        try:
            paths = [
                path
                for uids in some
                for path in self._retrieve(Wanted(study_uid, series_uid, uids), folder)
            ]
        except RetrieveRefused as error:
            log.warning("LM321 no instances one by one, but the series: %s", error)
            return self._retrieve(whole, folder)
        return paths if len(paths) == len(chosen) else self._retrieve(whole, folder)

    def _slices(self, study_uid: str, series_uid: str, key_slices: set[str]) -> list[str]:
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "IMAGE", study_uid
        wanted.SeriesInstanceUID = series_uid
        wanted.SOPInstanceUID, wanted.InstanceNumber = "", None
        try:
            return around(self._find(wanted), key_slices, self._ways.slices_around)
        except TooManyMatches:
            return []

    def _find(self, wanted: Dataset) -> Iterator[Dataset]:
        self._ways.pace.turn()
        return query.find(self._ways.peer, self._ways.ae_title, [wanted], self._ways.on_query)

    def _retrieve(self, wanted: Wanted, folder: Path) -> list[Path]:
        """Fetch, again from the beginning where the hours were over in between."""
        while True:
            self._ways.pace.turn()
            got = self._ways.fetch(wanted, folder)
            self._ways.pace.came(len(got.paths))
            if got.failed:
                raise RetrieveRefused(f"{got.failed} instances of a series could not be sent")
            if not got.was_cancelled:
                return list(got.paths)


def around(instances: Iterable[Dataset], key_slices: set[str], count: int) -> list[str]:
    """SOP Instance UIDs of the slices up to `count` places from a key slice.

    `instances` are the answers at instance level; where one has no Instance Number, or a key
    slice is not among them, there is nothing to choose from.
    """
    try:
        ordered = sorted((int(each.InstanceNumber), str(each.SOPInstanceUID)) for each in instances)
    except (AttributeError, TypeError, ValueError):
        return []
    uids = [uid for _, uid in ordered]
    places = [place for place, uid in enumerate(uids) if uid in key_slices]
    if len(places) < len(key_slices):
        return []
    near = {n for place in places for n in range(place - count, place + count + 1)}
    return [uid for place, uid in enumerate(uids) if place in near]


def _study_uid(study: Dataset) -> str:
    return str(study.get("StudyInstanceUID") or "")


def _study_query(window: Window, modality: str) -> Dataset:
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyDate, wanted.StudyTime = window.study_date, window.study_time
    wanted.ModalitiesInStudy = modality
    wanted.StudyInstanceUID = ""
    return wanted


def _signature(series: Dataset) -> str:
    """Differs when a series of bookmark objects grows, where the archive counts."""
    return f"{series.SeriesInstanceUID}:{series.get('NumberOfSeriesRelatedInstances') or ''}"
