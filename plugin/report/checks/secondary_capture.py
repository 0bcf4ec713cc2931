"""The rules that key images (Secondary Capture) have to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom.uid import SecondaryCaptureImageStorage

from plugin.errors import InvalidReport
from plugin.report import images, secondary_capture, text
from plugin.report.checks.common import check_origin, referenced
from plugin.report.key_image import LEGIBLE_SIDE
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.report.findings import Findings
    from plugin.volume import Volume

#: What the picture must be said to be (PS3.3 C.7.6.3, C.8.6.1).
EXPECTED = {
    "BurnedInAnnotation": "YES",
    "ConversionType": "WSD",
    "PhotometricInterpretation": "RGB",
    "SamplesPerPixel": 3,
    "BitsAllocated": 8,
}


def check(captures: Sequence[Dataset], findings: Findings) -> None:
    """Refuse pictures that show something else than they say. Raises InvalidReport."""
    if len(captures) != len(findings.bookmarks):
        raise InvalidReport(f"{len(captures)} pictures of {len(findings.bookmarks)} lesions")
    numbered = enumerate(zip(captures, findings.bookmarks, strict=True), start=1)
    for number, (capture, bookmark) in numbered:
        check_origin(capture, findings, {SecondaryCaptureImageStorage})
        _check_picture(capture, findings.volume, text.name(number))
        _check_source(capture, bookmark, findings.volume, text.name(number))
        _check_words(capture, text.label(number, bookmark), text.name(number))


def _check_picture(capture: Dataset, volume: Volume, where: str) -> None:
    """It is as large as it says, legible, and can be measured on."""
    for keyword, value in EXPECTED.items():
        if capture.get(keyword) != value:
            raise InvalidReport(f"{where}: {keyword} is {capture.get(keyword)!r} and not {value!r}")
    rows, columns = int(capture.Rows), int(capture.Columns)
    bytes_of_rgb = 3 * rows * columns
    if len(capture.get("PixelData") or b"") != bytes_of_rgb + bytes_of_rgb % 2:
        raise InvalidReport(f"{where}: PixelData is not that of {rows} x {columns} pixels")
    if min(rows, columns) < LEGIBLE_SIDE:
        raise InvalidReport(f"{where}: {rows} x {columns} pixels are too few to read the label")
    expected = secondary_capture.spacing(volume, rows, columns)
    if not np.allclose(capture.get("PixelSpacing") or 0.0, expected, rtol=1e-4):
        raise InvalidReport(f"{where}: PixelSpacing is not that of the slice drawn in this size")


def _check_source(capture: Dataset, bookmark: Bookmark, volume: Volume, where: str) -> None:
    """It names the key slice as its source."""
    sources = referenced(capture.get("SourceImageSequence"), volume, f"{where}: source image")
    if sources != [Slice(bookmark.sop_instance_uid, bookmark.frame_number)]:
        raise InvalidReport(f"{where}: SourceImageSequence does not name the key slice alone")
    images.check_analysed(volume, sources[0])


def _check_words(capture: Dataset, label: str, where: str) -> None:
    comments = str(capture.get("ImageComments"))
    for words in (label, text.RESEARCH_USE):
        if words not in comments:
            raise InvalidReport(f"{where}: ImageComments does not say: {words}")
