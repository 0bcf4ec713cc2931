from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset, dcmread

from plugin.datasets.harvested import LeftOut
from tests.harvested_cases import (
    build,
    by_hand,
    mark,
    redraw,
    save,
)

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.volume import Volume


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, "has burned-in annotation"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "is a localizer"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture Image Storage, not a CT"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "is not axial"),
        ({"RescaleType": "OD"}, "values are OD, not HU"),
        ({"PixelSpacing": None}, ""),
    ],
)
def test_images_that_cannot_enter_are_named(
    change: dict[str, Any], reason: str, images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source)), tmp_path)
    key = dcmread(images / "0021.dcm")
    for keyword, value in change.items():
        setattr(key, keyword, value)
    outcomes, _ = build(target, [report, save(key, tmp_path, "key")])
    told = {each.instance: each.reason for each in outcomes[0].left_out}
    assert reason in told[str(key.SOPInstanceUID)]
    assert told[str(dcmread(report).SOPInstanceUID)] == (
        "the key slice of a bookmark is not among the images"
    )
    assert not any(target.rglob("*.png"))


def test_broken_files_are_named_and_the_rest_enters(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    good = save(by_hand(source, mark(source)), tmp_path, "good")
    whole = good.read_bytes()
    broken = {
        "not DICOM": b"no DICOM at all",
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "cut in its head": whole[:200],
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
    outside = by_hand(source, mark(source, 2, 25), label="outside")
    redraw(outside, 0, [14, 30, 99, 30])
    outlying = save(outside, tmp_path, "outside")
    pointlike = by_hand(source, mark(source, 3, 25), label="flat")
    redraw(pointlike, 1, [19, 30, 19, 30])
    flat = save(pointlike, tmp_path, "flat")
    paths = [good, outlying, flat, *(tmp_path / name for name in broken), *images.iterdir()]
    (outcome,), _ = build(target, paths)
    assert outcome.new == 1
    reasons = {each.instance: each.reason for each in outcome.left_out}
    assert reasons["not DICOM"] == "is not a DICOM file"
    assert reasons["empty"] == "is not a DICOM file"
    assert "cut in its head" in reasons
    assert reasons[str(dcmread(outlying).SOPInstanceUID)] == (
        "an end of an axis lies outside its image"
    )
    assert reasons[str(dcmread(flat).SOPInstanceUID)] == "an axis has no length"


def test_a_reason_has_none_of_the_words_of_its_object(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    structures = by_hand(source, mark(source))
    structures.Modality = "RTSTRUCT"
    roi, drawn, contour = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName = 1, "GTV of Mrs Winterbottom"
    contour.ContourGeometricType = "OPEN_PLANAR"
    drawn.ReferencedROINumber, drawn.ContourSequence = 1, [contour]
    structures.StructureSetROISequence, structures.ROIContourSequence = [roi], [drawn]
    (outcome,), _ = build(target, [save(structures, tmp_path), *images.iterdir()])
    assert outcome.left_out == (
        LeftOut(structures.SOPInstanceUID, "is a structure set that cannot be understood"),
    )


def test_an_undecodable_slice_leaves_no_row(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source)), tmp_path)
    key = dcmread(images / "0021.dcm")
    key.PixelData = key.PixelData[:100]
    outcomes, summary = build(target, [report, save(key, tmp_path, "key")])
    assert "cannot be decoded" in outcomes[0].left_out[0].reason
    assert summary.bookmarks == 0
