"""What a demo sends: the series in a folder, and where their instances lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread

import plugin
from dicom_node import folder
from dicom_node.config_tables import PluginTable
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset


@dataclass(frozen=True)
class SentSeries:
    """One series that the plugin may be meant for."""

    #: Series Instance UID (0020,000E).
    series_instance_uid: str
    #: Study Instance UID (0020,000D).
    study_instance_uid: str
    #: The file of each SOP Instance UID (0008,0018).
    instances: dict[str, Path]


def find_series(root: Path) -> list[SentSeries]:
    """Every series below a folder that a report can be expected of.

    Raises NodeError when there is none.
    """
    sop_classes = plugin.load(PluginTable().model_dump()).sop_classes
    found = [_read(series) for series in folder.scan(root).series]
    expected = [series for series, kinds in found if kinds & sop_classes]
    if not expected:
        raise NodeError(f"{root}: holds no series that the plugin is meant for")
    return expected


def _read(series: plugin.Series) -> tuple[SentSeries, set[str]]:
    """One series, and the SOP Class UIDs of its instances."""
    headers = {path: _header(path) for path in series.instances}
    sent = SentSeries(
        series_instance_uid=series.series_instance_uid,
        study_instance_uid=next(str(header.StudyInstanceUID) for header in headers.values()),
        instances={str(header.SOPInstanceUID): path for path, header in headers.items()},
    )
    return sent, {str(header.SOPClassUID) for header in headers.values()}


def _header(path: Path) -> Dataset:
    tags = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
    return dcmread(path, specific_tags=tags, stop_before_pixels=True)
