"""Which patient, study, series and slice has which number, and what entered the data set.

A SQLite file outside the data set, for its owner's eyes only: it holds the original identifiers.
Numbers are given before any file is written under them and are never given twice, so that a
process may be killed at any moment.
"""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugin.datasets.harvested import pseudonym
from plugin.datasets.harvested.entry import Entry, from_json, to_json
from plugin.datasets.harvested.errors import WrongSecret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from plugin.bookmark import Axis, Bookmark

#: File name of the registry.
NAME = "registry.sqlite"
#: Ends of the axes nearer than this are the same mark, drawn again, pixels.
SAME_MARK = 1.0
TABLES = """
CREATE TABLE IF NOT EXISTS secret (check_value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS patient (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS study (
    patient INTEGER NOT NULL, number INTEGER NOT NULL, uid TEXT NOT NULL,
    PRIMARY KEY (patient, number), UNIQUE (patient, uid));
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, patient INTEGER NOT NULL, study INTEGER NOT NULL,
    number INTEGER NOT NULL, uid TEXT NOT NULL, kind TEXT NOT NULL, head REAL NOT NULL,
    UNIQUE (patient, study, number));
CREATE INDEX IF NOT EXISTS series_uid ON series (uid, kind);
CREATE TABLE IF NOT EXISTS slice (
    series INTEGER NOT NULL, number INTEGER NOT NULL, uid TEXT NOT NULL,
    PRIMARY KEY (series, number), UNIQUE (series, uid));
CREATE TABLE IF NOT EXISTS bookmark (
    id INTEGER PRIMARY KEY, series_uid TEXT NOT NULL, tracking_uid TEXT NOT NULL,
    slice_uid TEXT NOT NULL, ends TEXT NOT NULL, made TEXT NOT NULL, entry TEXT NOT NULL,
    patient INTEGER NOT NULL, study INTEGER NOT NULL, series INTEGER NOT NULL,
    key_slice INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS bookmark_tracking ON bookmark (series_uid, tracking_uid);
CREATE INDEX IF NOT EXISTS bookmark_slice ON bookmark (slice_uid);
CREATE INDEX IF NOT EXISTS bookmark_order ON bookmark (patient, study, series, key_slice);
"""


@dataclass(frozen=True)
class Mark:
    """What tells one bookmark from another."""

    #: Series Instance UID of the images.
    series_uid: str
    #: Tracking UID; the same lesion in another series is another bookmark.
    tracking_uid: str
    #: SOP Instance UID of the key slice, with its frame.
    slice_uid: str
    #: Ends of both axes, pixels.
    axes: tuple[Axis, Axis]
    #: When it was made: sorts by time.
    made: str


@dataclass(frozen=True)
class Window:
    """Slices that follow each other, from head to feet."""

    #: Names of the patient and UIDs of study and series.
    patient: str
    study_uid: str
    series_uid: str
    #: What slices of one stack have in common; two stacks of a series differ in it.
    kind: str
    #: SOP Instance UIDs, with their frames.
    slices: tuple[str, ...]
    #: Height of the first slice and of the topmost one of the whole stack, mm.
    first: float
    head: float
    #: Distance of the slices, mm.
    step: float


@dataclass(frozen=True)
class Numbers:
    """What a window is called in the data set."""

    #: Patient_index, Study_index and Series_ID, from 1.
    patient: int
    study: int
    series: int
    #: Number of the first slice, from 1; the others follow.
    first: int


class Registry:
    """The mapping and the bookmarks of one data set."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        path = folder / NAME
        # SQLite gives its journal the rights of this file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._database.executescript(f"PRAGMA synchronous = FULL; {TABLES}")
        self._check(path, pseudonym.digest(secret, "check"))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def find(self, mark: Mark) -> int | None:
        """The number of a bookmark that is the same, or drawn on the same pixels."""
        found = self._one(
            "SELECT id FROM bookmark WHERE series_uid = ? AND tracking_uid = ?",
            (mark.series_uid, mark.tracking_uid),
        )
        if found is not None:
            return int(found[0])
        for number, ends in self._database.execute(
            "SELECT id, ends FROM bookmark WHERE slice_uid = ?", (mark.slice_uid,)
        ):
            if _same(_ends(mark.axes), json.loads(ends)):
                return int(number)
        return None

    def is_newer(self, number: int, mark: Mark) -> bool:
        """Whether a mark is a later revision of the same bookmark, drawn elsewhere."""
        row = self._one("SELECT tracking_uid, made, ends FROM bookmark WHERE id = ?", (number,))
        if row is None:
            return False
        tracking_uid, made, ends = row
        revised = tracking_uid == mark.tracking_uid and mark.made > made
        return revised and not _same(_ends(mark.axes), json.loads(ends))

    def number(self, window: Window) -> Numbers:
        """The numbers of a window of slices, given now where it has none yet."""
        with self._transaction():
            patient = self._number_patient(window.patient)
            study = self._number_study(patient, window.study_uid)
            identity, series, first = self._fitting_series(patient, study, window)
            numbered = [(identity, first + i, uid) for i, uid in enumerate(window.slices)]
            self._database.executemany("INSERT OR IGNORE INTO slice VALUES (?, ?, ?)", numbered)
        return Numbers(patient, study, series, first)

    def record(self, mark: Mark, entry: Entry, replaced: int | None) -> None:
        """Let a bookmark enter, in the place of an earlier revision of it if there is one."""
        row = entry.row
        values = (
            *(mark.series_uid, mark.tracking_uid, mark.slice_uid),
            *(json.dumps(_ends(mark.axes)), mark.made, to_json(entry)),
            *(row.patient, row.study, row.series, row.key_slice),
        )
        with self._transaction():
            # Another process may have added it since it was looked for.
            if replaced is None and self.find(mark) is not None:
                return
            self._database.execute(
                f"INSERT OR REPLACE INTO bookmark VALUES (?{', ?' * len(values)})",
                (replaced, *values),
            )

    def entries(self) -> Iterator[Entry]:
        """The bookmarks that entered, in the order of their numbers."""
        order = "patient, study, series, key_slice, id"
        for (text,) in self._database.execute(f"SELECT entry FROM bookmark ORDER BY {order}"):
            yield from_json(text)

    def counts(self) -> tuple[int, int, int]:
        """Patients, studies and series with a bookmark."""
        columns = ("patient", "patient, study", "patient, study, series")
        first, second, third = (
            int(self._value(f"SELECT count(*) FROM (SELECT DISTINCT {each} FROM bookmark)"))
            for each in columns
        )
        return first, second, third

    def _check(self, path: Path, value: bytes) -> None:
        with self._transaction():
            known = self._one("SELECT check_value FROM secret", ())
            if known is None:
                self._database.execute("INSERT INTO secret VALUES (?)", (value,))
            elif not hmac.compare_digest(known[0], value):
                raise WrongSecret(f"{path}: the data set was begun with another secret")

    def _number_patient(self, name: str) -> int:
        self._database.execute("INSERT OR IGNORE INTO patient (name) VALUES (?)", (name,))
        return int(self._value("SELECT number FROM patient WHERE name = ?", name))

    def _number_study(self, patient: int, uid: str) -> int:
        self._database.execute(
            "INSERT OR IGNORE INTO study"
            " SELECT ?1, 1 + coalesce(max(number), 0), ?2 FROM study WHERE patient = ?1",
            (patient, uid),
        )
        return int(
            self._value("SELECT number FROM study WHERE patient = ? AND uid = ?", patient, uid)
        )

    def _fitting_series(self, patient: int, study: int, window: Window) -> tuple[int, int, int]:
        """Identity and number of a stack that the slices fit, and the number of the first one."""
        stacks = self._database.execute(
            "SELECT id, number, head FROM series"
            " WHERE uid = ? AND kind = ? AND patient = ? AND study = ? ORDER BY number",
            (window.series_uid, window.kind, patient, study),
        ).fetchall()
        for identity, number, head in stacks:
            first = self._first(identity, head, window)
            if first is not None:
                return identity, number, first
        return *self._new_series(patient, study, window), _counted(window, window.head)

    def _new_series(self, patient: int, study: int, window: Window) -> tuple[int, int]:
        number = 1 + int(
            self._value(
                "SELECT coalesce(max(number), 0) FROM series WHERE patient = ? AND study = ?",
                *(patient, study),
            )
        )
        values = (patient, study, number, window.series_uid, window.kind, window.head)
        cursor = self._database.execute(
            "INSERT INTO series VALUES (NULL, ?, ?, ?, ?, ?, ?)", values
        )
        return int(cursor.lastrowid or 0), number

    def _first(self, series: int, head: float, window: Window) -> int | None:
        """The number of the first slice in a stack that exists; None where the slices do not fit.

        They fit where each has its old number, and no number has another slice.
        """
        known = dict(
            self._database.execute("SELECT uid, number FROM slice WHERE series = ?", (series,))
        )
        firsts = {known[uid] - i for i, uid in enumerate(window.slices) if uid in known}
        first = firsts.pop() if firsts else _counted(window, head)
        taken = {number: uid for uid, number in known.items()}
        fits = all(taken.get(first + i, uid) == uid for i, uid in enumerate(window.slices))
        return first if fits and not firsts and first >= 1 else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _one(self, query: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        return row

    def _value(self, query: str, *values: object) -> int:
        value: int = self._database.execute(query, values).fetchone()[0]
        return value


def _counted(window: Window, head: float) -> int:
    """The number of the first slice where the topmost one of its stack is 1."""
    return 1 + round((window.first - head) / window.step)


def are_same(one: Bookmark, other: Bookmark) -> bool:
    """Whether two bookmarks are one: the same lesion of a series, or the same mark drawn again."""
    in_one_series = one.series_instance_uid == other.series_instance_uid
    return are_drawn_alike(one, other) or (in_one_series and one.tracking_uid == other.tracking_uid)


def are_drawn_alike(one: Bookmark, other: Bookmark) -> bool:
    """Whether two bookmarks are the same mark on the same slice."""
    places = {(each.sop_instance_uid, each.frame_number or 1) for each in (one, other)}
    ends, others = (_ends((each.long_axis, each.short_axis)) for each in (one, other))
    return len(places) == 1 and _same(ends, others)


def _ends(axes: tuple[Axis, Axis]) -> list[list[float]]:
    """The four ends, those of one axis and the axes themselves in a fixed order."""
    return [list(end) for axis in axes for end in axis]


def _same(one: list[list[float]], other: list[list[float]]) -> bool:
    """Whether two marks have the same ends, whichever end or axis comes first."""
    near = [any(max(abs(a - c), abs(b - d)) <= SAME_MARK for c, d in other) for a, b in one]
    back = [any(max(abs(a - c), abs(b - d)) <= SAME_MARK for c, d in one) for a, b in other]
    return all(near) and all(back)
