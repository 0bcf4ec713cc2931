"""Counts in sentences for people."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """The count with its noun: "1 file", "2 files", "2 series"."""
    return f"{count:,} {noun}" if count == 1 or noun.endswith("s") else f"{count:,} {noun}s"
