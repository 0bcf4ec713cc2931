"""One check of an installation, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check ended."""

    #: It is as it should be.
    OK = "ok"
    #: It is not; the advice says what to do.
    FAILED = "failed"
    #: There was nothing to look at, or something else has to be mended first.
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """What one look found. None of it names a patient other than that of the test."""

    #: What was looked at; says which one where there are several.
    name: str
    #: How it ended.
    result: Result
    #: What was seen, in one line.
    seen: str
    #: What to do, in one line; empty unless it failed.
    advice: str = ""


def passed(name: str, seen: str) -> Check:
    """It is as it should be."""
    return Check(name, Result.OK, seen)


def failed(name: str, seen: str, advice: str) -> Check:
    """It is not as it should be, and this can be done about it."""
    return Check(name, Result.FAILED, " ".join(seen.split()), advice)


def skipped(name: str, why: str) -> Check:
    """It was not looked at."""
    return Check(name, Result.SKIPPED, why)
