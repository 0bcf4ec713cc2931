"""Which instances lie in folders: their UIDs, read from the first elements only."""

from __future__ import annotations

import os
import sqlite3
import struct
from dataclasses import astuple, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.uid import (
    BasicTextSRStorage,
    ColorSoftcopyPresentationStateStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedSRStorage,
    ExtensibleSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    LegacyConvertedEnhancedCTImageStorage,
    RTStructureSetStorage,
)

from dicom_node.harvest.logbook import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydicom import Dataset
    from pydicom.tag import BaseTag

    from dicom_node.harvest.selection import Selection

#: SOP Classes of objects that may hold bookmarks.
OBJECTS: Final = frozenset(
    {
        BasicTextSRStorage,
        EnhancedSRStorage,
        ComprehensiveSRStorage,
        Comprehensive3DSRStorage,
        ExtensibleSRStorage,
        GrayscaleSoftcopyPresentationStateStorage,
        ColorSoftcopyPresentationStateStorage,
        RTStructureSetStorage,
    }
)
#: SOP Classes of the images on which they lie.
IMAGES: Final = frozenset(
    {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
)
#: Elements that are read, in ascending order, as they must stand in a file (PS3.5 7.1).
_SOP_CLASS, _INSTANCE, _DATE, _MODALITY = 0x00080016, 0x00080018, 0x00080020, 0x00080060
_BODY_PART, _STUDY, _SERIES = 0x00180015, 0x0020000D, 0x0020000E
_TAGS: Final = [_SOP_CLASS, _INSTANCE, _DATE, _MODALITY, _BODY_PART, _STUDY, _SERIES]
#: What pydicom raises on bytes that are no data set.
_FAULTS: Final = (
    InvalidDicomError, AttributeError, EOFError, IndexError, KeyError, NotImplementedError,
    OSError, OverflowError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip
#: Instances that are noted at once.
_BATCH: Final = 1000
_TABLES: Final = """
PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;
CREATE TABLE instance (
    uid TEXT NOT NULL, day TEXT NOT NULL, modality TEXT NOT NULL, part TEXT NOT NULL,
    study TEXT NOT NULL, series TEXT NOT NULL, is_object INTEGER NOT NULL, path BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Scanned:
    """What was found in folders."""

    #: Files that were looked at.
    files: int
    #: Objects that may hold bookmarks, and CT images.
    objects: int
    images: int


class Index:
    """The instances of some folders, in a file so that millions of them need no memory."""

    def __init__(self, path: Path) -> None:
        """Begin anew: an index is made for one run."""
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def scan(
        self, folders: Iterable[Path], on_files: Callable[[int], None] = lambda _: None
    ) -> Scanned:
        """Read the first elements of all files below some folders.

        `on_files` hears now and then how many have been looked at.
        """
        files, batch = 0, list[tuple[object, ...]]()
        for path in _files(folders):
            files += 1
            found = look(path)
            if found is not None:
                batch.append((*astuple(found), os.fsencode(path)))
            if files % _BATCH == 0:
                self._note(batch)
                batch.clear()
                on_files(files)
        self._note(batch)
        self._database.execute("CREATE INDEX study ON instance (study, is_object)")
        objects, images = (self._count(is_object=is_object) for is_object in (True, False))
        return Scanned(files, objects, images)

    def candidates(self, selection: Selection) -> Iterator[Candidate]:
        """The studies with an object that may hold bookmarks, in the order of their UIDs."""
        of_interest = self._database.execute(
            "SELECT DISTINCT study FROM instance AS object WHERE is_object AND EXISTS ("
            "SELECT 1 FROM instance WHERE study = object.study AND NOT is_object"
            " AND modality = ?1 AND ?2 IN ('', part) AND day BETWEEN ?3 AND ?4) ORDER BY study",
            (selection.modality, selection.body_part, *selection.days),
        )
        for (study_uid,) in of_interest:
            yield Candidate(study_uid, self._signature(study_uid))

    def objects(self, study_uid: str) -> list[Path]:
        """The files of a study that may hold bookmarks."""
        return self._paths("study = ? AND is_object", study_uid)

    def images(self, study_uid: str, series_uid: str) -> list[Path]:
        """The CT images of a series."""
        return self._paths("study = ? AND NOT is_object AND series = ?", study_uid, series_uid)

    def _paths(self, condition: str, *values: str) -> list[Path]:
        sql = f"SELECT path FROM instance WHERE {condition} ORDER BY path"
        return [Path(os.fsdecode(path)) for (path,) in self._database.execute(sql, values)]

    def _signature(self, study_uid: str) -> str:
        """Changes when an object or image of the study is added; one that lies twice is one."""
        found = self._database.execute(
            "SELECT DISTINCT uid FROM instance WHERE study = ? ORDER BY uid", (study_uid,)
        )
        return sha256("\n".join(uid for (uid,) in found).encode()).hexdigest()

    def _note(self, batch: list[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO instance VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch)
        self._database.execute("COMMIT")

    def _count(self, *, is_object: bool) -> int:
        sql = "SELECT count(*) FROM instance WHERE is_object = ?"
        return int(self._database.execute(sql, (is_object,)).fetchone()[0])


@dataclass(frozen=True)
class Looked:
    """What the first elements of an instance say."""

    #: SOP Instance UID, Study Date (VR DA), Modality and Body Part Examined.
    uid: str
    day: str
    modality: str
    body_part: str
    #: Study Instance UID and Series Instance UID.
    study_uid: str
    series_uid: str
    #: Whether it may hold bookmarks; else it is an image.
    is_object: bool


def look(path: Path) -> Looked | None:
    """Read the first elements of a file; None for all but bookmark objects and CT images."""
    try:
        with path.open("rb") as file:
            header = read_partial(file, stop_when=_is_behind, specific_tags=list(_TAGS))
        texts = [_text(header, tag) for tag in _TAGS]
    except _FAULTS:
        return None
    sop_class, uid, day, modality, body_part, study_uid, series_uid = texts
    if sop_class not in OBJECTS | IMAGES or not (uid and study_uid and series_uid):
        return None
    is_object = sop_class in OBJECTS
    return Looked(uid, day, modality, body_part.upper(), study_uid, series_uid, is_object)


def _text(header: Dataset, tag: int) -> str:
    element = header.get(tag)
    return str(element.value or "") if element is not None else ""


def _is_behind(tag: BaseTag, *_: object) -> bool:
    return int(tag) > _SERIES


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for parent, below, names in os.walk(folder):
            below.sort()
            yield from (Path(parent, name) for name in sorted(names))
