"""The one fake: a plugin that sees nothing, at the seam. It reports in a Basic Text SR."""

from __future__ import annotations

import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import BasicTextSRStorage, CTImageStorage, ExplicitVRLittleEndian

from plugin import Analysis, Bookmark, Facts, Kind, Picture, Product, UnsuitableSeries
from plugin.bookmark import LesionType
from plugin.uids import derive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from plugin import Earlier, Series

#: A test that forgets to open the gate fails; it does not hang.
_GATE_LIMIT_S = 60


SOP_CLASSES = frozenset({CTImageStorage})
REMARKS = ("one instance was <b>left out</b>",)


def _png(grey: int) -> bytes:
    png = BytesIO()
    Image.new("L", (16, 16), grey).save(png, "PNG")
    return png.getvalue()


PICTURES = tuple(Picture(_png(90 * n), f"what picture {n} shows") for n in (1, 2))
PRODUCED = {Kind.REPORT: (BasicTextSRStorage,)}


@dataclass(frozen=True)
class FakePlugin:
    """Refuses series of fewer than three instances, fails on those of exactly thirteen.

    It sees two lesions in those of exactly eleven.
    """

    #: While this file exists the analysis does not end.
    gate: Path
    version: str = "fake-1"
    sop_classes: frozenset[str] = SOP_CLASSES

    def facts(self) -> Facts:
        return Facts(self.version, "", "cpu", "none")

    def accepts(self, series: Series) -> bool:
        return bool(series.instances)

    def warm_up(self) -> None:
        return

    def analyse(self, series: Series, earlier: Earlier | None, now: datetime) -> Analysis:
        self._wait()
        headers = [dcmread(path, stop_before_pixels=True) for path in series.instances]
        if len(headers) < 3:
            raise UnsuitableSeries(f"only {len(headers)} instances")
        if len(headers) == 13:
            # An error that quotes what it could not deal with, as they do.
            float(str(headers[0].PatientName))
        if len(headers) == 11:
            found = tuple(lesion(headers[0], number) for number in range(2))
            return Analysis(found, self.report(headers, earlier, now), REMARKS, PICTURES)
        return Analysis((), self.report(headers, earlier, now))

    def report(
        self, headers: Sequence[Dataset], earlier: Earlier | None, now: datetime
    ) -> tuple[Product, ...]:
        """The one object that it makes."""
        return (Product(Kind.REPORT, report_on(headers, earlier, self.version, now)),)

    def _wait(self) -> None:
        deadline = time.monotonic() + _GATE_LIMIT_S
        while self.gate.exists() and time.monotonic() < deadline:
            time.sleep(0.02)


def build(settings: Mapping[str, Any]) -> FakePlugin:
    return FakePlugin(Path(settings["gate"]), settings.get("version", "fake-1"))


def lesion(header: Dataset, number: int) -> Bookmark:
    """A lesion that nobody has seen, smaller from one to the next."""
    return Bookmark(
        series_instance_uid=header.SeriesInstanceUID,
        sop_instance_uid=header.SOPInstanceUID,
        frame_number=None,
        slice_index=number,
        long_axis=((1.0, 2.0), (4.0, 6.0)),
        short_axis=((1.5, 5.0), (3.5, 3.0)),
        long_axis_mm=12.34 - number,
        short_axis_mm=7.5 - number,
        box=(1.0, 2.0, 4.0, 6.0),
        slice_range=(number, number),
        lesion_type=LesionType.LUNG,
        score=0.9 - number / 10,
        tracking_uid=f"2.25.{number + 1}",
        mean_hu=31.5,
        volume_mm3=640.0,
    )


def report_on(
    headers: Sequence[Dataset], earlier: Earlier | None, version: str, now: datetime
) -> Dataset:
    """A Basic Text SR that says how many instances there were."""
    source = headers[0]
    uids = sorted(str(header.SOPInstanceUID) for header in headers)
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SpecificCharacterSet = "ISO_IR 192"
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    report.SOPInstanceUID = derive(version, *uids)
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    report.StudyInstanceUID = source.StudyInstanceUID
    report.SeriesInstanceUID = derive(version, source.SeriesInstanceUID)
    report.PatientID, report.PatientName = source.PatientID, source.PatientName
    report.PatientBirthDate = source.get("PatientBirthDate", "")
    report.Modality, report.SeriesNumber, report.InstanceNumber = "SR", 900, len(uids)
    report.ContentDate, report.ContentTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    report.StudyDescription = f"{len(uids)} instances"
    if earlier is not None:
        before = Dataset()
        before.ReferencedSOPInstanceUID = dcmread(earlier.reports[0]).SOPInstanceUID
        report.PredecessorDocumentsSequence = [before]
    return report
