from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highdicom
import numpy as np
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

from plugin import UnsuitableSeries, volume
from plugin.datasets import phantom
from plugin.datasets.phantom import Orientation
from plugin.uids import derive
from tests.volume_cases import HU, SHAPE, SPACING, all_of, axial_affine, images, written

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset


def encoded(dataset: Dataset, syntax: str) -> Dataset:
    if syntax in (JPEGLSLossless, JPEG2000Lossless, RLELossless):
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
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
        # -1000 written unsigned
        (-1000, {"PixelPaddingValue": 64536, "RescaleIntercept": 0.0}, -1024),
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


def test_headers_keep_what_the_report_needs(tmp_path: Path) -> None:
    headers = volume.read(written(tmp_path, images())).headers

    assert [header.to_json_dict() for header in headers] == [
        {tag: value for tag, value in image.to_json_dict().items() if tag != "7FE00010"}
        for image in images()
    ]


def test_accepts_ct_other_than_localizers(tmp_path: Path) -> None:
    ct = written(tmp_path / "ct", images())
    localizers = written(tmp_path / "scout", all_of(ImageType=["A", "B", "LOCALIZER"])(images()))
    mr = written(tmp_path / "mr", all_of(SOPClassUID=MRImageStorage)(images()))

    assert volume.accepts(localizers + ct)
    assert not volume.accepts(localizers)
    assert not volume.accepts(mr)
    assert not volume.accepts([])
