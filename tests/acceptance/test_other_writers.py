"""Reports that other programs write, read back: dcmqi, by which 3D Slicer stores, and highdicom."""

from __future__ import annotations

import gzip
import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from highdicom.sr import (
    ComprehensiveSR,
    CoordinatesForMeasurement,
    FindingSite,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom import Dataset, dcmread
from pydicom.sr.coding import Code

from plugin import Kind
from plugin.bookmark import LesionType
from plugin.datasets.phantom import Spec, make
from plugin.errors import InvalidReport
from plugin.report import codes, images, read, tree
from plugin.uids import derive
from plugin.volume import read as read_volume
from tests.acceptance.validators import run, tool
from tests.report_cases import bookmark, made, received, written

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

#: The axes as pydicom spells them, which is not how viewers do.
LONG_AXIS = Code("103339001", "SCT", "Long axis")
SHORT_AXIS = Code("103340004", "SCT", "Short axis")
#: Bytes before the voxels of a NIfTI-1 file.
NIFTI_HEADER = 352


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Volume]:
    """A small phantom on disk; its slices are as coarse as they may be."""
    folder = tmp_path_factory.mktemp("chest")
    make(folder, Spec(shape=(12, 64, 64), spacing=(2.5, 4.0, 4.0)))
    return folder, read_volume(folder.iterdir())


def item(code: Code) -> dict[str, str]:
    return {
        "CodeValue": code.value,
        "CodingSchemeDesignator": code.scheme_designator,
        "CodeMeaning": code.meaning,
    }


def measured(value: float, quantity: Code, unit: Code) -> dict[str, Any]:
    return {"value": str(value), "quantity": item(quantity), "units": item(unit)}


def order(folder: Path, segmentation: Path, mark: Bookmark) -> dict[str, Any]:
    """What dcmqi is asked to write: the statistics of a segmented region, one with its axes."""
    region = {
        "ReferencedSegment": 1,
        "SourceSeriesForImageSegmentation": mark.series_instance_uid,
        "segmentationSOPInstanceUID": segmentation.stem,
        "Finding": item(codes.LESION),
        "FindingSite": item(codes.SITES[mark.lesion_type]),
    }
    statistics = [
        measured(mark.mean_hu, codes.ATTENUATION, codes.HOUNSFIELD),
        measured(mark.volume_mm3, codes.VOLUME, codes.CUBIC_MILLIMETRE),
    ]
    axes = [
        measured(mark.long_axis_mm, codes.LONG_AXIS, codes.MILLIMETRE),
        measured(mark.short_axis_mm, codes.SHORT_AXIS, codes.MILLIMETRE),
    ]
    return {
        "SeriesDescription": "Measurements",
        "SeriesNumber": "1001",
        "InstanceNumber": "1",
        "compositeContext": [segmentation.name],
        "imageLibrary": sorted(path.name for path in folder.iterdir()),
        "observerContext": {"ObserverType": "PERSON", "PersonObserverName": "Reader^One"},
        "VerificationFlag": "UNVERIFIED",
        "CompletionFlag": "COMPLETE",
        "activitySession": "1",
        "timePoint": "1",
        "Measurements": [
            region | {"TrackingIdentifier": "Nodule", "measurementItems": statistics},
            region | {"TrackingIdentifier": "Mass", "measurementItems": statistics + axes},
        ],
    }


@pytest.fixture(scope="module")
def dcmqi_report(
    chest: tuple[Path, Volume], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Dataset]:
    """A report by dcmqi over a segmentation by us, and the folder of both."""
    folder, source = chest
    target = tmp_path_factory.mktemp("dcmqi")
    mark = bookmark(source)
    (segmentation,) = written(target, made(source, [mark], Kind.SEGMENTATION))
    (target / "order.json").write_text(json.dumps(order(folder, segmentation, mark)))
    status, lines = run(
        tool("tid1500writer"),
        *("--inputImageLibraryDirectory", str(folder)),
        *("--inputCompositeContextDirectory", str(target)),
        *("--inputMetadata", str(target / "order.json")),
        *("--outputDICOM", str(target / "report.dcm")),
    )
    assert status == 0, lines
    return target, dcmread(target / "report.dcm")


def test_regions_without_drawn_diameters_are_named(dcmqi_report: tuple[Path, Dataset]) -> None:
    found = read(dcmqi_report[1])
    assert found.bookmarks == ()
    assert found.remarks == (
        "Lesion 1 (Nodule) has no diameters to draw, but Attenuation Coefficient, Volume",
        "Lesion 2 (Mass) has no diameters to draw, but Attenuation Coefficient, Volume, "
        "Long Axis, Short Axis",
    )


def test_dcmqi_reads_the_segmentation(
    dcmqi_report: tuple[Path, Dataset], chest: tuple[Path, Volume], tmp_path: Path
) -> None:
    """The voxels of our segmentation, as the program sees them that 3D Slicer loads it with."""
    (segmentation,) = dcmqi_report[0].glob("2.25.*.dcm")
    status, lines = run(
        tool("segimage2itkimage"),
        *("--inputDICOM", str(segmentation), "--outputDirectory", str(tmp_path)),
        *("--outputType", "nii"),
    )
    assert status == 0, lines
    described = json.loads((tmp_path / "meta.json").read_text())
    ((segment,),) = described["segmentAttributes"]
    assert segment["SegmentLabel"] == "Lesion 1"
    assert segment["TrackingUniqueIdentifier"] == bookmark(chest[1]).tracking_uid
    voxels = gzip.decompress((tmp_path / "1.nii.gz").read_bytes())[NIFTI_HEADER:]
    assert len(voxels) - voxels.count(0) == 3 * 11 * 7


def test_dcmtk_lays_lines_and_label_over_the_key_slice(
    chest: tuple[Path, Volume], tmp_path: Path
) -> None:
    folder, source = chest
    mark = bookmark(source)
    (state,) = written(tmp_path, made(source, [mark], Kind.PRESENTATION_STATE))
    laid = {
        str(dcmread(path).SOPInstanceUID): _laid_over(path, state, tmp_path / "picture.pgm")
        for path in folder.iterdir()
    }
    window = "window center=-600 width=1500"
    assert laid.pop(mark.sop_instance_uid) == ("3", "1", window)
    assert {(lines, words) for lines, words, _ in laid.values()} == {("0", "0")}


def _laid_over(image: Path, state: Path, picture: Path) -> tuple[str, str, str]:
    """How many lines and words DCMTK shows on an image with a presentation state; its window."""
    _, said = run(tool("dcmp2pgm"), "-v", "-p", str(state), str(image), str(picture))
    words = "\n".join(said)
    found = (
        re.search(pattern, words)
        for pattern in (
            r"Number of graphic objects: (\d+)",
            r"Number of text objects: (\d+)",
            r"VOI transformation: (window center=\S+ width=\d+|none)",
        )
    )
    lines, labels, window = (match.group(1) if match else "" for match in found)
    return lines, labels, window


def highdicom_report(source: Volume, mark: Bookmark) -> Dataset:
    """Both axes in one group, and the outline of a region in another, by a person."""
    report: Dataset = ComprehensiveSR(
        evidence=list(source.headers),
        content=MeasurementReport(
            observation_context=ObserverContext(
                Code("121006", "DCM", "Person"),
                PersonObserverIdentifyingAttributes(name="Reader^One"),
            ),
            procedure_reported=codes.CT_UNSPECIFIED_BODY_REGION,
            imaging_measurements=[_diameters(mark, source), _region(mark, source)],
        )[0],
        series_instance_uid=derive("highdicom series"),
        series_number=1001,
        sop_instance_uid=derive("highdicom report"),
        instance_number=1,
        manufacturer="nobody",
        is_complete=True,
    )
    return received(report)


def _diameters(mark: Bookmark, source: Volume) -> MeasurementsAndQualitativeEvaluations:
    axes = (
        (LONG_AXIS, mark.long_axis, mark.long_axis_mm),
        (SHORT_AXIS, mark.short_axis, mark.short_axis_mm),
    )
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(mark.tracking_uid, "Nodule"),
        finding_sites=[FindingSite(codes.SITES[mark.lesion_type])],
        measurements=[
            Measurement(
                name,
                value=value,
                unit=codes.MILLIMETRE,
                referenced_coordinates=[
                    CoordinatesForMeasurement(
                        "POLYLINE",
                        np.array(axis) + 0.5,
                        SourceImageForRegion(*_place(mark, source)),
                    )
                ],
            )
            for name, axis, value in axes
        ],
    )


def _region(mark: Bookmark, source: Volume) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    outline = np.array(images.outline(mark.box)) + 0.5
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(derive("a region"), "Liver"),
        referenced_region=ImageRegion(
            "POLYLINE", outline, SourceImageForRegion(*_place(mark, source))
        ),
        measurements=[Measurement(codes.VOLUME, value=1.5, unit=codes.CUBIC_MILLIMETRE)],
    )


def _place(mark: Bookmark, source: Volume) -> tuple[str, str]:
    image = images.key_image(source, mark)
    return image.sop_class_uid, image.sop_instance_uid


def test_diameters_by_highdicom_are_read_to_the_last_digit(chest: tuple[Path, Volume]) -> None:
    source = chest[1]
    mark = bookmark(source, long_axis_mm=40.000001234, lesion_type=LesionType.LIVER)
    found = read(highdicom_report(source, mark), source.slices)
    index = mark.slice_index
    expected = replace(mark, score=1.0, slice_range=(index, index), mean_hu=0.0, volume_mm3=0.0)
    (back,) = found.bookmarks
    assert replace(back, mean_hu=0.0, volume_mm3=0.0) == expected
    assert math.isnan(back.mean_hu)
    assert found.remarks == ("Lesion 2 (Liver) has no diameters to draw, but Volume",)


def test_a_broken_group_of_highdicom_names_the_item(chest: tuple[Path, Volume]) -> None:
    report = highdicom_report(chest[1], bookmark(chest[1]))
    group = tree.lesion_groups(report)[0]
    tree.one(group, codes.SHORT_AXIS, "lesion").ContentSequence[0].GraphicType = "ELLIPSE"
    with pytest.raises(InvalidReport, match="Lesion 1: Short Axis is not drawn as a polyline"):
        read(report, chest[1].slices)
