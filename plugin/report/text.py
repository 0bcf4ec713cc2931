"""Bookmarks in words: labels, rows of a table, and the summary a person can paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin.bookmark import Bookmark

#: Said in every report and on every image of it.
RESEARCH_USE = "Research use only, not for clinical decisions"
#: Said in place of a list of lesions.
NO_LESION = "No lesion above the threshold of the detector."
#: Heads of the columns of `table`.
COLUMNS = ("Lesion", "Site", "Long x short (mm)", "Score", "Key slice")


def name(number: int) -> str:
    """What lesion `number` (from 1) is called in a report."""
    return f"Lesion {number}"


def size(bookmark: Bookmark) -> str:
    """Both diameters in mm, long axis first: "19.6 x 12.6"."""
    return f"{bookmark.long_axis_mm:.1f} x {bookmark.short_axis_mm:.1f}"


def label(number: int, bookmark: Bookmark) -> str:
    """The line a viewer shows beside the diameters."""
    return (
        f"{name(number)}: {bookmark.lesion_type.value} {size(bookmark)} mm, "
        f"score {bookmark.score:.2f}"
    )


def table(bookmarks: Sequence[Bookmark]) -> list[tuple[str, ...]]:
    """One row of text a bookmark, under `COLUMNS`; the key slice is counted from 0."""
    return [_row(number, bookmark) for number, bookmark in enumerate(bookmarks, start=1)]


def _row(number: int, bookmark: Bookmark) -> tuple[str, ...]:
    return (
        name(number),
        bookmark.lesion_type.value,
        size(bookmark),
        f"{bookmark.score:.2f}",
        str(bookmark.slice_index),
    )


def summary(bookmarks: Sequence[Bookmark]) -> str:
    """Sentences and a table in plain text, lines ended by a line feed."""
    lines = [_opening(bookmarks), *map(_sentence, range(1, len(bookmarks) + 1), bookmarks)]
    if bookmarks:
        lines += ["", *_aligned([COLUMNS, *table(bookmarks)])]
    return "\n".join([*lines, "", f"{RESEARCH_USE}."])


def _opening(bookmarks: Sequence[Bookmark]) -> str:
    if not bookmarks:
        return NO_LESION
    noun = "lesion" if len(bookmarks) == 1 else "lesions"
    return f"{len(bookmarks)} {noun} found by software and not reviewed by a radiologist."


def _sentence(number: int, bookmark: Bookmark) -> str:
    return (
        f"{name(number)} ({bookmark.lesion_type.value}) measures {size(bookmark)} mm "
        f"in slice {bookmark.slice_index}, mean {bookmark.mean_hu:.0f} HU, "
        f"{bookmark.volume_mm3 / 1000:.2f} ml, certainty {bookmark.score:.0%}."
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines whose columns start at the same character."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
