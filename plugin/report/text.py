"""Bookmarks in words: labels, rows of a table, and the summary a person can paste."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from plugin.report import images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

#: Said in every report and on every image of it.
RESEARCH_USE = "Research use only, not for clinical decisions"
#: Said in place of a list of lesions.
NO_LESION = "No lesion above the threshold of the detector."
#: What a report of another writer may leave out.
UNKNOWN = "unknown"
#: Heads of the columns of `table`.
COLUMNS = ("Lesion", "Site", "Image", "Long x short (mm)", "Mean (HU)", "Certainty")


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


def table(bookmarks: Sequence[Bookmark], volume: Volume) -> list[tuple[str, ...]]:
    """One row of text a bookmark, under `COLUMNS`; images are numbered as viewers do."""
    return [
        (
            name(number),
            bookmark.lesion_type.value,
            str(images.image_number(volume, bookmark)),
            size(bookmark),
            _attenuation(bookmark),
            f"{bookmark.score:.0%}",
        )
        for number, bookmark in enumerate(bookmarks, start=1)
    ]


def summary(bookmarks: Sequence[Bookmark], volume: Volume) -> str:
    """Sentences and a table in plain text, lines ended by a line feed."""
    lines = [_opening(bookmarks, volume)]
    for number, bookmark in enumerate(bookmarks, start=1):
        lines.append(_sentence(number, bookmark, images.image_number(volume, bookmark)))
    if bookmarks:
        lines += ["", *_aligned([COLUMNS, *table(bookmarks, volume)])]
    return "\n".join([*lines, "", f"{RESEARCH_USE}."])


def _opening(bookmarks: Sequence[Bookmark], volume: Volume) -> str:
    series_number = images.first_header(volume).get("SeriesNumber")
    where = "CT" if series_number is None else f"CT, series {series_number}"
    if not bookmarks:
        return f"{where}: {NO_LESION}"
    noun = "lesion" if len(bookmarks) == 1 else "lesions"
    return f"{where}: {len(bookmarks)} {noun} found by software, not reviewed by a radiologist."


def _sentence(number: int, bookmark: Bookmark, image: int) -> str:
    return (
        f"{name(number)} ({bookmark.lesion_type.value}) measures {size(bookmark)} mm "
        f"on image {image}, mean {_attenuation(bookmark, ' HU')}, "
        f"volume {_volume(bookmark)}, certainty {bookmark.score:.0%}."
    )


def _attenuation(bookmark: Bookmark, unit: str = "") -> str:
    # Of an integer: a mean of -0.3 is 0, not -0.
    return UNKNOWN if math.isnan(bookmark.mean_hu) else f"{round(bookmark.mean_hu)}{unit}"


def _volume(bookmark: Bookmark) -> str:
    return UNKNOWN if math.isnan(bookmark.volume_mm3) else f"{bookmark.volume_mm3 / 1000:.2f} ml"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines whose columns start at the same character."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
