"""The trial of the plugin for CT: the images decode, the phantom is marked, the judge is just."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless

import plugin
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from plugin import Facts, Kind, codecs
from plugin.analysis import LesionAnalysis
from plugin.bookmark import LesionType
from plugin.chest_trial import SPEC, ChestTrial
from plugin.datasets import phantom
from plugin.detector import Detection

if TYPE_CHECKING:
    from pathlib import Path

    from plugin import Judgement, Series
    from plugin.datasets.phantom import Lesion
    from plugin.volume import Volume

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = {"module": "plugin.analysis"}


def _has_decoder(syntax: UID) -> bool:
    if not syntax.is_encapsulated:
        return True
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def test_there_is_an_image_in_every_transfer_syntax_that_can_be_decoded() -> None:
    trial = plugin.trial(SETTINGS)
    assert trial is not None
    assert trial.decodable() == {str(s) for s in TRANSFER_SYNTAXES if _has_decoder(s)}
    assert trial.undecodable() == {}


def test_an_image_that_decodes_to_something_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = dcmread(codecs.samples()[ExplicitVRLittleEndian])
    image.PixelData = bytes(len(image.PixelData))
    image.save_as(tmp_path / "black.dcm")
    shutil.copy(codecs.samples()[JPEGLSLossless], tmp_path / "good.dcm")
    given = {
        ExplicitVRLittleEndian: tmp_path / "black.dcm",
        JPEGLSLossless: tmp_path / "good.dcm",
    }
    monkeypatch.setattr(codecs, "samples", lambda: given)
    faults = codecs.undecodable()
    assert list(faults) == [ExplicitVRLittleEndian]
    assert "is wrong by 15" in faults[ExplicitVRLittleEndian]


def test_nobody_takes_the_series_for_a_patient(tmp_path: Path) -> None:
    series = ChestTrial().write(tmp_path, NOW)
    assert len(series.instances) == SPEC.shape[0]
    for path in series.instances:
        header = dcmread(path, stop_before_pixels=True)
        assert header.PatientID == ChestTrial().patient_id == "LESIONMARK-TEST"
        assert str(header.PatientName).startswith("TEST^")
        assert (
            header.StudyDescription == header.SeriesDescription == "TEST of lesionmark, no patient"
        )
        assert header.QualityControlImage == "YES"
        assert header.StudyDate == "20260301"
        assert header.SeriesInstanceUID == series.series_instance_uid


def test_each_moment_has_a_series_of_its_own(tmp_path: Path) -> None:
    one = ChestTrial().write(tmp_path / "1", NOW)
    other = ChestTrial().write(tmp_path / "2", NOW + timedelta(seconds=1))
    assert one.series_instance_uid != other.series_instance_uid


@dataclass(frozen=True)
class Knowing:
    """A detector that is told where the lesions are, and how large."""

    lesions: tuple[Lesion, ...]
    version: str = "knowing 1"

    def facts(self) -> Facts:
        return Facts(self.version, "", "cpu", "none")

    def warm_up(self) -> None: ...

    def detect(self, volume: Volume, lowest: float = 0.0) -> list[Detection]:
        del lowest
        at = volume.to_patient(np.moveaxis(np.indices(volume.hu.shape, np.float64), 0, -1))
        masks = [
            (((at - each.centre) / (np.array(each.diameters) / 2)) ** 2).sum(-1) <= 1
            for each in self.lesions
        ]
        return [Detection(mask, (0, 0, 0), 0.9, LesionType.LUNG) for mask in masks]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    return ChestTrial().write(tmp_path_factory.mktemp("trial"), NOW)


def judged(series: Series, *lesions: Lesion) -> Judgement:
    """What is said of a report on exactly these lesions."""
    analysis = LesionAnalysis(Knowing(lesions), 0.0, frozenset({Kind.REPORT}))
    report = analysis.analyse(series, None, NOW).objects[0].dataset
    return ChestTrial().judge(report)


def test_a_report_of_the_truth_is_right(series: Series) -> None:
    judgement = judged(series, *SPEC.lesions)
    assert judgement.faults == ()
    assert judgement.seen.startswith("14 x 14 mm: 1")
    assert "; 24 x 16 mm: 2" in judgement.seen


def test_a_wrong_diameter_is_named(series: Series) -> None:
    first, second = SPEC.lesions
    small = phantom.Lesion(first.centre, (10.0, 10.0, 10.0))
    [fault] = judged(series, small, second).faults
    assert fault.startswith("the lesion of 14 x 14 mm is reported as 1")


def test_a_lesion_that_is_missing_or_elsewhere_is_named(series: Series) -> None:
    first, second = SPEC.lesions
    away = phantom.Lesion((first.centre[0], first.centre[1] + 20, first.centre[2]), first.diameters)
    for reported in ((second,), (away, second)):
        [fault] = judged(series, *reported).faults
        assert fault == "the lesion of 14 x 14 mm is not in the report"


def test_what_is_no_report_is_a_fault(series: Series) -> None:
    judgement = ChestTrial().judge(dcmread(series.instances[0]))
    assert "this is no structured report" in judgement.faults[0]


def test_the_facts_name_the_weights() -> None:
    facts = plugin.load(SETTINGS | {"device": "cpu"}).facts()
    assert facts.model.startswith("lesionmark-lung ")
    assert len(facts.weights_sha256) == 64
    assert (facts.device, facts.memory_bytes) == ("cpu", None)
