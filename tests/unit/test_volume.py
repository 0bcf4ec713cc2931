from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import highdicom
import numpy as np
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from plugin import UnsuitableSeries, volume
from plugin.datasets import phantom
from plugin.datasets.ct_image import Identity, ct_images
from plugin.datasets.phantom import Orientation
from plugin.uids import derive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (8, 32, 40)
SPACING = (2.5, 0.7, 0.8)
ORIGIN = (-100.0, -50.0, 30.0)
HU = np.random.default_rng(5).integers(-1000, 1500, SHAPE).astype(np.float32)
IDENTITY = Identity("PHANTOM^TEST", "TEST", "volume", "Test")


def axial_affine() -> np.ndarray[Any, np.dtype[np.float64]]:
    affine = np.eye(4)
    affine[:3, :3] = np.stack([[0, 0, 2.5], [0, 0.7, 0], [0.8, 0, 0]], axis=1)
    affine[:3, 3] = ORIGIN
    return affine


def images() -> list[Dataset]:
    return list(ct_images(HU, axial_affine(), IDENTITY))


def written(folder: Path, datasets: list[Dataset]) -> list[Path]:
    """The datasets as files whose names say nothing about their order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{(7 * i) % 97:02d}.dcm" for i in range(len(datasets))]
    for path, dataset in zip(paths, datasets, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    return paths


def encoded(dataset: Dataset, syntax: str) -> Dataset:
    if syntax in (JPEGLSLossless, JPEG2000Lossless, RLELossless):
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.name,
)
def test_attenuation_and_geometry_in_every_transfer_syntax(tmp_path: Path, syntax: str) -> None:
    paths = written(tmp_path, [encoded(dataset, syntax) for dataset in images()])

    ct = volume.read(paths)

    assert np.array_equal(ct.hu, HU)
    assert ct.hu.dtype == np.float32
    assert np.allclose(ct.affine, axial_affine(), atol=1e-9)
    assert ct.spacing == pytest.approx(SPACING)
    assert ct.remarks == ()
    assert [s.frame_number for s in ct.slices] == [None] * 8
    assert all("PixelData" not in header for header in ct.headers)


def test_slices_ascend_along_z_in_any_order_of_files(tmp_path: Path) -> None:
    paths = written(tmp_path, images())

    ct, shuffled = volume.read(paths), volume.read(paths[::-1])

    uids = [dataset.SOPInstanceUID for dataset in images()]
    assert [s.sop_instance_uid for s in ct.slices] == uids
    assert shuffled.slices == ct.slices
    assert [h.SOPInstanceUID for h in shuffled.headers] == uids
    assert ct.to_patient(np.array([3.0, 2.0, 1.0])) == pytest.approx([-99.2, -48.6, 37.5])


def test_agrees_with_highdicom(tmp_path: Path) -> None:
    datasets = images()
    ct = volume.read(written(tmp_path, datasets))

    theirs = highdicom.get_volume_from_series(datasets)
    descending = np.diag([-1.0, 1.0, 1.0, 1.0])
    descending[0, 3] = SHAPE[0] - 1

    assert np.array_equal(ct.hu, theirs.array[::-1])
    assert np.allclose(ct.affine, theirs.affine @ descending)


@pytest.mark.parametrize("orientation", list(Orientation))
@pytest.mark.parametrize("tilt", [0.0, 17.0, -8.0])
def test_orientation_and_gantry_tilt(tmp_path: Path, orientation: Orientation, tilt: float) -> None:
    spec = phantom.Spec((), (6, 10, 14), (3.0, 1.5, 1.25), orientation, tilt)
    phantom.make(tmp_path, spec)

    ct = volume.read(tmp_path.iterdir())

    # Six decimals of a direction, over the width of a slice.
    assert np.allclose(ct.affine, phantom.affine(spec), atol=1e-4)
    assert ct.spacing == pytest.approx((3.0 * np.cos(np.radians(tilt)), 1.5, 1.25), abs=1e-5)


def test_multi_frame(tmp_path: Path) -> None:
    datasets = images()
    enhanced = LegacyConvertedEnhancedCTImage(
        datasets,
        series_instance_uid=derive("enhanced"),
        series_number=2,
        sop_instance_uid=derive("enhanced instance"),
        instance_number=1,
    )

    ct = volume.read(written(tmp_path, [enhanced]))

    assert np.array_equal(ct.hu, HU)
    assert np.allclose(ct.affine, axial_affine())
    assert {s.sop_instance_uid for s in ct.slices} == {enhanced.SOPInstanceUID}
    assert sorted(s.frame_number or 0 for s in ct.slices) == list(range(1, 9))
    assert len(ct.headers) == 1


def edited(index: int, **attributes: object) -> Callable[[list[Dataset]], list[Dataset]]:
    def edit(datasets: list[Dataset]) -> list[Dataset]:
        for keyword, value in attributes.items():
            setattr(datasets[index], keyword, value)
        return datasets

    return edit


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
    tmp_path: Path, edit: Callable[[list[Dataset]], list[Dataset]], reason: str
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


def without(*indices: int) -> Callable[[list[Dataset]], list[Dataset]]:
    return lambda datasets: [d for i, d in enumerate(datasets) if i not in indices]


def all_of(**attributes: object) -> Callable[[list[Dataset]], list[Dataset]]:
    def edit(datasets: list[Dataset]) -> list[Dataset]:
        for i in range(len(datasets)):
            edited(i, **attributes)(datasets)
        return datasets

    return edit


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
    tmp_path: Path, edit: Callable[[list[Dataset]], list[Dataset]], reason: str
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


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGLSLossless], ids=lambda s: s.name)
def test_damaged_pixels_are_named_with_their_transfer_syntax(tmp_path: Path, syntax: str) -> None:
    datasets = [encoded(dataset, syntax) for dataset in images()]
    whole = datasets[5].PixelData
    datasets[5].PixelData = whole[: len(whole) // 4 * 2]

    with pytest.raises(UnsuitableSeries, match="cannot be decoded") as refused:
        volume.read(written(tmp_path, datasets))

    assert datasets[5].SOPInstanceUID in str(refused.value)
    assert datasets[5].file_meta.TransferSyntaxUID.name in str(refused.value)


@pytest.mark.parametrize(
    ("stored", "attributes", "expected"),
    [
        (-2000, {"PixelPaddingValue": -2000}, -1024),
        (-2000, {"PixelPaddingValue": 63536}, -1024),  # the same, written unsigned
        (3500, {"PixelPaddingValue": 3100, "PixelPaddingRangeLimit": 4000}, -1024),
        (-2000, {}, -1024),  # below what CT measures
        (1064, {"PixelPaddingValue": 1064}, 40),  # 40 HU cannot be padding
        (500, {"RescaleSlope": 2.0, "RescaleIntercept": -900.0}, 100),
    ],
)
def test_stored_values_become_hu(
    tmp_path: Path, stored: int, attributes: dict[str, Any], expected: float
) -> None:
    datasets = images()
    for dataset in datasets:
        pixels = np.full(SHAPE[1:], stored, "<i2")
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
        dataset.PixelData = pixels.tobytes()
        for keyword, value in attributes.items():
            if keyword.startswith("PixelPadding"):
                dataset.add_new(keyword, "US" if value > 32767 else "SS", value)
            else:
                setattr(dataset, keyword, value)

    ct = volume.read(written(tmp_path, datasets))

    assert np.unique(ct.hu).tolist() == [expected]


def test_accepts_ct_other_than_localizers(tmp_path: Path) -> None:
    ct = written(tmp_path / "ct", images())
    localizers = written(tmp_path / "scout", all_of(ImageType=["A", "B", "LOCALIZER"])(images()))
    mr = written(tmp_path / "mr", all_of(SOPClassUID=MRImageStorage)(images()))

    assert volume.accepts(localizers + ct)
    assert not volume.accepts(localizers)
    assert not volume.accepts(mr)
    assert not volume.accepts([])


def test_headers_do_not_lose_what_the_report_needs(tmp_path: Path) -> None:
    paths = written(tmp_path, images())
    header = volume.read(paths).headers[0]

    assert header.StudyInstanceUID == dcmread(paths[0]).StudyInstanceUID
    assert header.PatientID == replace(IDENTITY).patient_id
