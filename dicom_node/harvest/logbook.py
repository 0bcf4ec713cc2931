"""What a harvest has done already, on disk, so that it can be killed at any moment.

A study is noted only when the data set has it, and until then it is fetched again; the data set
itself takes each bookmark once. So nothing is missing and nothing is there twice.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "harvest.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS study (
    uid TEXT PRIMARY KEY, signature TEXT NOT NULL, fault TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS window (name TEXT PRIMARY KEY);
"""


@dataclass(frozen=True)
class Candidate:
    """A study that may hold bookmarks of people."""

    #: Study Instance UID (0020,000D).
    study_uid: str
    #: What it holds of bookmark objects; differs when some have been added.
    signature: str


class Logbook:
    """Studies that are done or have failed, and windows of dates that have been asked about."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        # SQLite gives its journal the rights of this file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._database.executescript(f"PRAGMA synchronous = FULL; {_TABLES}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def is_done(self, candidate: Candidate) -> bool:
        """Whether the data set has all that this study holds."""
        found = self._database.execute(
            "SELECT 1 FROM study WHERE uid = ? AND signature = ? AND fault = ''",
            (candidate.study_uid, candidate.signature),
        )
        return found.fetchone() is not None

    def note(self, candidate: Candidate, fault: str = "") -> None:
        """The data set has the study, or why it could not be fetched; durable on return."""
        self._database.execute(
            "INSERT OR REPLACE INTO study VALUES (?, ?, ?)",
            (candidate.study_uid, candidate.signature, fault),
        )

    def failed(self) -> list[str]:
        """Studies that could not be fetched, in the order of their UIDs."""
        found = self._database.execute("SELECT uid FROM study WHERE fault != '' ORDER BY uid")
        return [uid for (uid,) in found]

    def forget(self, study_uid: str) -> None:
        """The study is not there any more."""
        self._database.execute("DELETE FROM study WHERE uid = ?", (study_uid,))

    def is_asked(self, window: str) -> bool:
        """Whether every study of a window has been looked at in a harvest that is not over."""
        found = self._database.execute("SELECT 1 FROM window WHERE name = ?", (window,))
        return found.fetchone() is not None

    def note_asked(self, window: str) -> None:
        """Every study of a window has been looked at; durable on return."""
        self._database.execute("INSERT OR IGNORE INTO window VALUES (?)", (window,))

    def forget_windows(self) -> None:
        """The harvest is over; the next one asks anew, since studies get bookmarks later."""
        self._database.execute("DELETE FROM window")
