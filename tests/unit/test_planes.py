from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from plugin import UnsuitableSeries, volume
from plugin.uids import derive
from tests.volume_cases import ORIGIN, all_of, edited, images, without, written

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

    from tests.volume_cases import Edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (edited(0, SOPClassUID=SecondaryCaptureImageStorage), "Secondary Capture"),
        (edited(0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer"),
        (edited(0, SamplesPerPixel=3), "colours"),
        (edited(0, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), "differs in shape, orientation"),
        (edited(0, PixelSpacing=[0.7, 0.9]), "pixel spacing"),
        (edited(0, Rows=6), "differs in shape"),
        (edited(0, ImagePositionPatient=[*ORIGIN[:2], 32.5]), "same position"),
    ],
)
def test_instances_without_a_place_are_set_aside_by_name(
    tmp_path: Path, edit: Edit, reason: str
) -> None:
    datasets = edit(images())

    ct = volume.read(written(tmp_path, datasets))

    assert len(ct.hu) == len(ct.slices) == len(ct.headers) == 7
    (remark,) = ct.remarks
    assert reason in remark
    left_out = {d.SOPInstanceUID for d in datasets} - {s.sop_instance_uid for s in ct.slices}
    assert left_out.pop() in remark


def test_of_two_slices_in_one_position_the_first_acquisition_stays(tmp_path: Path) -> None:
    second = images()
    for dataset in second:
        dataset.SOPInstanceUID = derive("second", dataset.SOPInstanceUID)
        dataset.AcquisitionNumber = 2
        dataset.InstanceNumber -= 1  # interleaved with the first
    ct = volume.read(written(tmp_path, second + images()))

    assert [s.sop_instance_uid for s in ct.slices] == [d.SOPInstanceUID for d in images()]
    assert len(ct.remarks) == 8


def test_a_copy_of_an_instance_counts_once(tmp_path: Path) -> None:
    ct = volume.read(written(tmp_path, images() + images()))

    assert len(ct.hu) == 8
    assert ct.remarks == ()


def test_what_is_no_dicom_is_set_aside(tmp_path: Path) -> None:
    stray = tmp_path / "notes.txt"
    stray.write_text("no preamble, no DICM")

    ct = volume.read([*written(tmp_path, images()), stray])

    assert ct.remarks == ("notes.txt is not a DICOM file",)


def stepwise(datasets: list[Dataset]) -> list[Dataset]:
    """Every gap a little wider than the one before, none of them remarkable."""
    for i, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [-100.0, -50.0 + 0.15 * i**2, 2.5 * i]
    return datasets


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (without(4), r"missing or unevenly spaced: 5\.00 mm .* elsewhere 2\.50 mm"),
        (without(*range(4)), "4 slices"),
        (edited(3, PatientID="OTHER"), "more than one patient"),
        (edited(3, StudyInstanceUID="1.2.3"), "more than one study"),
        (edited(3, SeriesInstanceUID="1.2.3"), "more than one series"),
        (edited(3, FrameOfReferenceUID="1.2.3"), "more than one frame of reference"),
        (edited(3, ImagePositionPatient=None), "instance 2.25"),
        (edited(3, ImagePositionPatient=[0, 0]), "instance 2.25"),
        (all_of(SOPClassUID=MRImageStorage), "no CT image; .*MR Image Storage"),
        (all_of(RescaleType="MGML"), "MGML, not HU"),
        (stepwise, "leave the line of their stack"),
    ],
)
def test_unsuitable_series_are_refused_with_the_reason(
    tmp_path: Path, edit: Edit, reason: str
) -> None:
    paths = written(tmp_path, edit(images()))

    with pytest.raises(UnsuitableSeries, match=reason):
        volume.read(paths)


def test_positions_rounded_by_the_scanner_are_even_enough(tmp_path: Path) -> None:
    datasets = images()
    for i, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [-100, -50, round(0.625 * i, 1)]

    ct = volume.read(written(tmp_path, datasets))

    assert ct.spacing[0] == pytest.approx(0.625, abs=0.01)
