"""What a study gave to a data set, and what the data set holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """One instance, or one bookmark of it, that did not enter."""

    #: SOP Instance UID, or the name of a file that has none.
    instance: str
    #: Why, in a sentence without anything of the patient.
    reason: str


@dataclass(frozen=True)
class StudyOutcome:
    """What one study gave."""

    #: Bookmarks that entered the data set.
    new: int
    #: Bookmarks that were there already, or twice in the study.
    known: int
    #: What did not enter, and why.
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Summary:
    """What the data set holds."""

    #: Patients, studies and series with a bookmark.
    patients: int
    studies: int
    series: int
    #: Bookmarks: rows of DL_info.csv.
    bookmarks: int
    #: Bookmarks of the training, validation and test part.
    split: tuple[int, int, int]
    #: Bookmarks whose place in the body, and whose type, is an estimate.
    estimated_locations: int
    estimated_types: int
    #: Bookmarks whose place, and whose type, could not be told.
    unknown_locations: int
    unknown_types: int
