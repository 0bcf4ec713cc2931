"""Folders of DICOM files as a source; the spool of the node is one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.harvest.dataset import marks_of_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_node.harvest.index import Index
    from dicom_node.harvest.logbook import Candidate
    from dicom_node.harvest.selection import Selection


class Folders:
    """Studies in folders that have been scanned."""

    def __init__(self, index: Index, selection: Selection) -> None:
        self._index = index
        self._selection = selection

    def candidates(self) -> Iterator[Candidate]:
        """Studies with an object that may hold bookmarks."""
        return self._index.candidates(self._selection)

    def objects(self, candidate: Candidate) -> list[Path]:
        """The files of a study that may hold bookmarks."""
        return self._index.objects(candidate.study_uid)

    def fetch(self, candidate: Candidate) -> list[Path]:
        """The objects with bookmarks of people, and the series that they lie on."""
        objects = self.objects(candidate)
        marks = marks_of_people(objects)
        images = [
            path
            for series_uid in sorted(marks.images)
            for path in self._index.images(candidate.study_uid, series_uid)
        ]
        return [*objects, *images] if marks.count else []

    def forget(self, candidate: Candidate) -> None:
        """Nothing: the files are not ours."""
