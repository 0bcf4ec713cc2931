from __future__ import annotations

import json
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from plugin.errors import InvalidReport
from plugin.report import AuthorKind, read
from tests.report_cases import Geometry, shared_data, volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.volume import Volume

SOURCE = volume(Geometry(shape=(7, 80, 90), spacing=(2.5, 0.5, 0.8)))
MIDDLE = (40.0, 38.0)


def ellipse(across_mm: float, down_mm: float) -> NDArray[np.float64]:
    """(column, row) of an ellipse with its diameters along rows and columns."""
    angles = np.linspace(0, 2 * pi, 120, endpoint=False)
    column = MIDDLE[0] + across_mm / 2 / 0.8 * np.cos(angles)
    return np.stack([column, MIDDLE[1] + down_mm / 2 / 0.5 * np.sin(angles)], axis=1)


def contour(index: int, points: NDArray[np.float64], source: Volume = SOURCE) -> Dataset:
    item = Dataset()
    named = Dataset()
    named.ReferencedSOPInstanceUID = source.slices[index].sop_instance_uid
    item.ContourImageSequence = [named]
    item.ContourGeometricType = "CLOSED_PLANAR"
    indices = np.column_stack([np.full(len(points), float(index)), points[:, 1], points[:, 0]])
    item.ContourData = [f"{mm:.6f}" for mm in source.to_patient(indices).ravel()]
    item.NumberOfContourPoints = len(points)
    return item


def structures(*contours: Dataset, name: str = "GTV", kind: str = "GTV") -> Dataset:
    found, roi, drawn, observation = Dataset(), Dataset(), Dataset(), Dataset()
    found.Modality, found.SOPInstanceUID = "RTSTRUCT", "1.2.3"
    roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = 1, name, "MANUAL"
    roi.ReferencedFrameOfReferenceUID = SOURCE.headers[0].FrameOfReferenceUID
    drawn.ReferencedROINumber, drawn.ContourSequence = 1, list(contours)
    observation.ReferencedROINumber, observation.RTROIInterpretedType = 1, kind
    found.StructureSetROISequence = [roi]
    found.ROIContourSequence = [drawn]
    found.RTROIObservationsSequence = [observation]
    return found


def lesion() -> list[Dataset]:
    """Largest on slice 3; a hole on slice 2."""
    return [
        contour(2, ellipse(20.0, 10.0)),
        contour(2, ellipse(6.0, 4.0)),
        contour(3, ellipse(30.0, 16.0)),
        contour(4, ellipse(18.0, 12.0)),
    ]


def test_a_tumour_is_measured_where_it_is_longest() -> None:
    found = read(structures(*lesion()), headers=SOURCE.headers)
    (back,) = found.bookmarks
    assert (back.sop_instance_uid, back.slice_index) == (SOURCE.slices[3].sop_instance_uid, 3)
    assert (back.long_axis_mm, back.short_axis_mm) == pytest.approx((30.0, 16.0), abs=0.05)
    assert back.slice_range == (2, 4)
    assert back.box == (22.0, 22.0, 58.0, 54.0)
    area = pi / 4 * (20 * 10 - 6 * 4 + 30 * 16 + 18 * 12)
    assert back.volume_mm3 == pytest.approx(area * 2.5, rel=0.002)
    assert found.remarks == ()
    assert found.authors[0].kind is AuthorKind.PERSON


def test_contours_whose_images_have_other_names_go_by_their_plane() -> None:
    document = structures(*lesion())
    for each in document.ROIContourSequence[0].ContourSequence[:2]:
        each.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.9"
    del document.ROIContourSequence[0].ContourSequence[2].ContourImageSequence
    found = read(document, headers=SOURCE.headers)
    assert found.bookmarks == read(structures(*lesion()), headers=SOURCE.headers).bookmarks
    assert found.remarks == ("region 1 (GTV): 3 of 4 contours go by their plane, not by instance",)


@pytest.mark.parametrize(
    ("name", "kind", "remark"),
    [
        ("Heart", "ORGAN", "region 1 (Heart) is no lesion but ORGAN"),
        ("Heart", "", "region 1 (Heart) is not called a lesion"),
        ("PTV 70", "PTV", "region 1 (PTV 70) is no lesion but PTV"),
    ],
)
def test_other_regions_are_named(name: str, kind: str, remark: str) -> None:
    found = read(structures(*lesion(), name=name, kind=kind), headers=SOURCE.headers)
    assert (found.bookmarks, found.remarks) == ((), (remark,))


def test_without_a_type_the_name_tells_a_lesion() -> None:
    found = read(structures(*lesion(), name="Liver metastasis 2", kind=""), headers=SOURCE.headers)
    assert [mark.lesion_type.value for mark in found.bookmarks] == ["liver"]


def first(document: Dataset) -> Dataset:
    found: Dataset = document.ROIContourSequence[0].ContourSequence[0]
    return found


def moved(points: list[float]) -> list[str]:
    return [f"{float(mm) + 100:.3f}" for mm in points]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: setattr(first(d), "ContourGeometricType", "POINT"), "is POINT, not CLOSED"),
        (lambda d: delattr(first(d), "ContourGeometricType"), "is of no type, not CLOSED"),
        (lambda d: setattr(first(d), "ContourData", first(d).ContourData[:-1]), "Contour Data"),
        (lambda d: setattr(first(d), "ContourData", first(d).ContourData[:6]), "Contour Data"),
        (
            lambda d: setattr(first(d), "ContourData", moved(first(d).ContourData)),
            "does not lie in instance",
        ),
        (
            lambda d: setattr(d.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", "1.7"),
            "its Frame of Reference 1.7 is not that of the series",
        ),
    ],
    ids=["points", "no type", "cut off", "a line", "moved", "frame of reference"],
)
def test_a_broken_contour_is_refused_by_name(change: Any, message: str) -> None:
    document = structures(*lesion())
    change(document)
    with pytest.raises(InvalidReport, match=rf"region 1 \(GTV\), contour 1:? ?{message}"):
        read(document, headers=SOURCE.headers)


def test_an_image_that_is_not_in_the_series_is_refused_by_name() -> None:
    uid = SOURCE.slices[2].sop_instance_uid
    with pytest.raises(InvalidReport, match=f"contour 1: instance {uid} is not in the series"):
        read(structures(*lesion()), headers=SOURCE.headers[3:])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (ellipse(20, 10) + 60, "lies outside its image of 90 x 80 pixels"),
        (np.array([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]]), "bounds no area"),
    ],
    ids=["outside", "flat"],
)
def test_an_impossible_outline_is_refused_by_name(
    points: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(InvalidReport, match=rf"contour 1 {message}"):
        read(structures(contour(2, points)), headers=SOURCE.headers)


def test_the_sarcomas_measure_as_their_contours_do() -> None:
    """Ten tumours outlined by radiation oncologists against the diameters of the shared table."""
    table = json.loads(shared_data("lesions.json").read_text())
    marked = {each["series_dir"]: each["lesions"] for each in table}
    for folder in sorted(shared_data("rtstruct").iterdir()):
        images = shared_data("series", folder.name).iterdir()
        headers = [dcmread(path, stop_before_pixels=True) for path in images]
        (back,) = read(dcmread(folder / "RS.dcm"), headers=headers).bookmarks
        (expected,) = marked[f"series/{folder.name}"]
        assert back.sop_instance_uid == expected["key_sop_uid"]
        assert back.slice_index == expected["key_slice"]
        assert back.long_axis_mm == pytest.approx(expected["recist"]["long_mm"], abs=0.06)
        # There the short axis need not be quite perpendicular.
        assert back.short_axis_mm == pytest.approx(expected["recist"]["short_mm"], abs=1.4)
        outline = expected["key_bbox_px"]
        assert back.box == pytest.approx(np.add(outline, (0.5, 0.5, -0.5, -0.5)), abs=0.01)
        assert list(back.slice_range) == expected["bbox_px"][2::3]
