"""At the plugin's seam: takes a fixed time, sees nothing, and reports that in a Basic Text SR."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import BasicTextSRStorage, CTImageStorage, ExplicitVRLittleEndian

from plugin import Analysis, Kind, Product
from plugin.uids import derive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from plugin import Earlier, Series

SOP_CLASSES = frozenset({CTImageStorage})


@dataclass(frozen=True)
class IdlePlugin:
    """Waits as a graphics card would make it wait: without using a core."""

    #: Of one analysis, seconds.
    work_s: float
    version: str = "idle-1"
    sop_classes: frozenset[str] = SOP_CLASSES

    def accepts(self, series: Series) -> bool:
        """Every series."""
        return bool(series.instances)

    def warm_up(self) -> None:
        """Nothing."""

    def analyse(self, series: Series, earlier: Earlier | None, now: datetime) -> Analysis:
        """Wait, and report nothing in particular."""
        del earlier
        time.sleep(self.work_s)
        return Analysis((), (Product(Kind.REPORT, self._report(series, now)),))

    def _report(self, series: Series, now: datetime) -> Dataset:
        source = dcmread(series.instances[0], stop_before_pixels=True)
        report = Dataset()
        report.file_meta = FileMetaDataset()
        report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
        report.SOPInstanceUID = derive(self.version, source.SOPInstanceUID)
        report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
        report.StudyInstanceUID = source.StudyInstanceUID
        report.SeriesInstanceUID = derive(self.version, source.SeriesInstanceUID)
        report.PatientID, report.PatientName = source.PatientID, source.PatientName
        report.Modality, report.SeriesNumber, report.InstanceNumber = "SR", 900, 1
        report.ContentDate, report.ContentTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
        return report


def build(settings: Mapping[str, Any]) -> IdlePlugin:
    """The key `work_s` is the time of one analysis, seconds."""
    return IdlePlugin(float(settings.get("work_s", 0.0)))
