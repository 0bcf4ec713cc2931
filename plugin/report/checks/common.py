"""Rules that objects of several kinds have to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin.errors import InvalidReport
from plugin.report import identity, images, provenance, text
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydicom import Dataset
    from pydicom.uid import UID

    from plugin.bookmark import Point
    from plugin.report.findings import Findings
    from plugin.report.images import KeyImage
    from plugin.volume import Volume


def check_origin(found: Dataset, findings: Findings, sop_classes: Collection[UID]) -> None:
    """Class, patient, study, series and purpose of one object."""
    if found.get("SOPClassUID") not in sop_classes:
        raise InvalidReport(f"SOPClassUID is {found.get('SOPClassUID')}")
    _check_file_meta(found)
    header = images.first_header(findings.volume)
    for keyword in sorted(identity.FILED_BY):
        if (found.get(keyword) or "") != (header.get(keyword) or ""):
            raise InvalidReport(f"{keyword} differs from that of the images")
    if found.get("SeriesInstanceUID") in (None, "", findings.volume.series_instance_uid):
        raise InvalidReport("SeriesInstanceUID is not that of a series of its own")
    if found.get("ContentQualification") != provenance.CONTENT_QUALIFICATION:
        raise InvalidReport(f"ContentQualification is {found.get('ContentQualification')!r}")
    if text.RESEARCH_USE not in str(found.get("SeriesDescription")):
        raise InvalidReport(f"SeriesDescription does not say: {text.RESEARCH_USE}")


def _check_file_meta(found: Dataset) -> None:
    """File meta information names the object that it precedes (PS3.10 7.1)."""
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if found.file_meta.get(f"MediaStorage{keyword}") != found.get(keyword):
            raise InvalidReport(f"MediaStorage{keyword} is not the {keyword}")


def hierarchical(found: Dataset, keyword: str) -> list[str]:
    """SOP Instance UIDs of a Hierarchical SOP Instance Reference (PS3.3 Table C.17-3)."""
    return [
        str(instance.ReferencedSOPInstanceUID)
        for study in found.get(keyword) or []
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]


def referenced(items: Iterable[Dataset] | None, volume: Volume, where: str) -> list[Slice]:
    """The images that items of a reference sequence name. Raises InvalidReport for others."""
    headers = images.headers_by_uid(volume)
    return [_referenced(item, headers, where) for item in items or []]


def _referenced(item: Dataset, headers: dict[str, Dataset], where: str) -> Slice:
    uid, frames = str(item.get("ReferencedSOPInstanceUID")), item.get("ReferencedFrameNumber")
    if uid not in headers:
        raise InvalidReport(f"{where}: instance {uid} is not among those analysed")
    if item.get("ReferencedSOPClassUID") != headers[uid].SOPClassUID:
        raise InvalidReport(f"{where}: ReferencedSOPClassUID is not that of instance {uid}")
    return Slice(uid, None if frames is None else int(frames))


def check_inside(points: Iterable[Point], image: KeyImage, where: str) -> None:
    """Every (column, row) point, counted from the corner of the first pixel, is in the image."""
    for column, row in points:
        if not (0 <= column <= image.columns and 0 <= row <= image.rows):
            raise InvalidReport(f"{where}: point ({column}, {row}) lies outside the image")
