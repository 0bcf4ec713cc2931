"""Instances that come late and are left out of the volume still make another state of a series."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from plugin import Earlier, Facts, Kind, Series
from plugin.analysis import LesionAnalysis
from tests.instances import instance, write_series

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydicom import Dataset

    from plugin import Analysis
    from plugin.detector import Detection
    from plugin.volume import Volume

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


class Blind:
    """A detector that finds nothing; what is reported does not matter here."""

    version = "blind 1"

    def facts(self) -> Facts:
        return Facts(self.version, "", "cpu", "none")

    def warm_up(self) -> None: ...

    def detect(self, volume: Volume, lowest: float = 0.0) -> list[Detection]:
        del volume, lowest
        return []


def _localizer(late: Dataset) -> None:
    late.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _at_a_place_taken(late: Dataset) -> None:
    late.ImagePositionPatient = [0.0, 0.0, 4.0]
    late.AcquisitionNumber = 2


@pytest.mark.parametrize("change", [_localizer, _at_a_place_taken])
def test_its_report_is_a_new_one_that_names_the_one_before(
    tmp_path: Path, change: Callable[[Dataset], None]
) -> None:
    plugin = LesionAnalysis(Blind(), 0.5, frozenset({Kind.REPORT}))
    written = write_series(tmp_path / "ct", 6)
    early = plugin.analyse(Series(written.series_uid, tuple(written.paths)), None, NOW)
    late = instance(written.series_uid, written.study_uid, 99)
    change(late)
    late.save_as(tmp_path / "late.dcm", enforce_file_format=True)

    series = Series(written.series_uid, (*written.paths, tmp_path / "late.dcm"))
    revised = plugin.analyse(series, Earlier(_saved(early, tmp_path), ()), NOW)

    assert revised.remarks
    before, after = (a.objects[0].dataset for a in (early, revised))
    assert after.SOPInstanceUID != before.SOPInstanceUID
    study = after.PredecessorDocumentsSequence[0]
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == before.SOPInstanceUID


def _saved(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    paths = tuple(folder / f"report-{i}.dcm" for i in range(len(analysis.objects)))
    for product, path in zip(analysis.objects, paths, strict=True):
        product.dataset.save_as(path, enforce_file_format=True)
    return paths
