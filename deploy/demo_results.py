"""What came back: reports fetched from the PACS, as tables, as pictures, and against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread
from rich.table import Table

from deploy.processes import wait_until
from plugin import report, volume
from plugin.report import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydicom import Dataset

    from deploy.demo_series import SentSeries
    from deploy.local_pacs import LocalPacs
    from plugin.bookmark import Bookmark
    from plugin.datasets.phantom import Lesion
    from plugin.volume import Volume

#: How long a PACS may take to list what it has acknowledged, seconds.
LISTED_WITHIN_S = 30.0
#: Pixels of a picture for one pixel of the key slice.
PICTURE_SCALE = 2


@dataclass(frozen=True)
class Fetched:
    """One report as the PACS gave it back."""

    #: Series Instance UID of the images that it is about.
    series_instance_uid: str
    #: The SR instance.
    path: Path
    #: What it says, in its order.
    bookmarks: tuple[Bookmark, ...]
    #: The images that it is about.
    volume: Volume
    #: A picture of each bookmark's key slice, in the same order.
    pictures: tuple[Path, ...]


def fetch(delivered: list[SentSeries], pacs: LocalPacs, folder: Path) -> list[Fetched]:
    """Get the report of every delivered series from the PACS and keep it in `folder`.

    Raises NotInTime when the PACS does not have one.
    """
    return [
        _fetch(series, pacs, folder / f"report-{number}")
        for number, series in enumerate(delivered, start=1)
    ]


def _fetch(series: SentSeries, pacs: LocalPacs, stem: Path) -> Fetched:
    what = f"a report on series {series.series_instance_uid} in the PACS"
    content = wait_until(
        lambda: next(_reports_on(series, pacs), None), what, limit_s=LISTED_WITHIN_S
    )
    path = stem.with_suffix(".dcm")
    path.write_bytes(content)
    images = volume.read(tuple(series.instances.values()))
    bookmarks = report.read(dcmread(path), images.slices).bookmarks
    return Fetched(
        series.series_instance_uid, path, bookmarks, images, draw(bookmarks, images, stem)
    )


def _reports_on(series: SentSeries, pacs: LocalPacs) -> Iterator[bytes]:
    """Reports in the PACS whose evidence is the series, other than those that were sent along."""
    for uid in pacs.reports(series.study_instance_uid):
        content = pacs.download(uid)
        if uid not in series.instances and series.series_instance_uid in _evidence(content):
            yield content


def _evidence(content: bytes) -> set[str]:
    """Series Instance UIDs that a report refers to (PS3.3 C.17.2.3)."""
    document: Dataset = dcmread(BytesIO(content))
    return {
        str(series.SeriesInstanceUID)
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
    }


def draw(bookmarks: Sequence[Bookmark], images: Volume, stem: Path) -> tuple[Path, ...]:
    """Write a PNG of each key slice with both diameters."""
    paths = []
    for number, bookmark in enumerate(bookmarks, start=1):
        path = stem.with_name(f"{stem.name}-lesion-{number}.png")
        report.draw(images, bookmark, number=number, scale=PICTURE_SCALE).save(path)
        paths.append(path)
    return tuple(paths)


def lesion_table(fetched: Fetched) -> Table:
    """One row a lesion, read from the report."""
    table = Table(*text.COLUMNS)
    for row in report.table(fetched.bookmarks, fetched.volume):
        table.add_row(*row)
    return table


def truth_table(truth: Sequence[Lesion], fetched: Fetched) -> Table:
    """One row a lesion that is known to be there: found, as which lesion, or missed."""
    table = Table("Known lesion (mm)", "Attenuation (HU)", "In the report")
    for lesion in truth:
        number = find(lesion, fetched)
        size = " x ".join(f"{diameter:g}" for diameter in lesion.diameters)
        table.add_row(size, f"{lesion.hu:g}", f"found: {text.name(number)}" if number else "MISSED")
    return table


def unknown(truth: Sequence[Lesion], fetched: Fetched) -> list[str]:
    """Names of the bookmarks that are none of the known lesions."""
    known = {find(lesion, fetched) for lesion in truth}
    return [text.name(n) for n in range(1, len(fetched.bookmarks) + 1) if n not in known]


def find(lesion: Lesion, fetched: Fetched) -> int | None:
    """Number (from 1) of the first bookmark whose middle lies inside a lesion's sphere."""
    for number, bookmark in enumerate(fetched.bookmarks, start=1):
        distance = np.linalg.norm(middle(bookmark, fetched.volume) - np.array(lesion.centre))
        if distance <= max(lesion.diameters) / 2:
            return number
    return None


def middle(bookmark: Bookmark, images: Volume) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Middle of the long axis, mm in LPS patient coordinates, [3]."""
    (column0, row0), (column1, row1) = bookmark.long_axis
    index = (bookmark.slice_index, (row0 + row1) / 2, (column0 + column1) / 2, 1.0)
    place: np.ndarray[tuple[int], np.dtype[np.float64]] = (images.affine @ np.array(index))[:3]
    return place
