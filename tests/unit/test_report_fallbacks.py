"""Objects for viewers and archives that draw no structured report."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugin import Kind
from plugin.report import Region, draw
from tests.report_cases import Geometry, bookmark, enhanced, made, two_lesions, volume

if TYPE_CHECKING:
    from pydicom import Dataset

    from plugin.volume import Volume

SAGITTAL = Geometry(orientation=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)), spacing=(2, 0.5, 0.9))


def captures(source: Volume) -> list[Dataset]:
    return made(source, two_lesions(source), Kind.KEY_IMAGES)


def states_of(source: Volume) -> list[Dataset]:
    return made(source, two_lesions(source), Kind.PRESENTATION_STATE)


def state_of(source: Volume) -> Dataset:
    (state,) = states_of(source)
    return state


def selection_of(source: Volume) -> Dataset:
    (selection,) = made(source, two_lesions(source), Kind.KEY_OBJECTS)
    return selection


def segmentation_of(source: Volume) -> Dataset:
    """A box of three slices, and a slanting line of single voxels in the first slice."""
    regions = (
        Region(np.ones((3, 6, 11), np.bool_), (1, 17, 10)),
        Region(np.eye(4, dtype=np.bool_)[None], (0, 2, 5)),
    )
    voxel = abs(np.linalg.det(source.affine[:3, :3]))
    marks = [
        replace(mark, volume_mm3=float(region.mask.sum() * voxel))
        for mark, region in zip(two_lesions(source), regions, strict=True)
    ]
    (found,) = made(source, marks, Kind.SEGMENTATION, regions=regions)
    return found


def test_a_capture_holds_the_picture_and_says_that_words_are_burned_in() -> None:
    source = volume()
    first, second = captures(source)
    picture = np.asarray(draw(source, bookmark(source)))
    assert (first.pixel_array == picture).all()
    assert first.BurnedInAnnotation == "YES"
    assert first.ImageComments.startswith("Lesion 1: lung 7.0 x 4.2 mm, score 0.41. Research use")
    assert (
        first.SourceImageSequence[0].ReferencedSOPInstanceUID == source.slices[2].sop_instance_uid
    )
    assert second.ImageComments.startswith("Lesion 2: liver")
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID


@pytest.mark.parametrize(
    ("geometry", "orientation"),
    [(Geometry(), ["L", "P"]), (Geometry(shear=0.9), ["L", "P"]), (SAGITTAL, ["P", "F"])],
)
def test_a_capture_says_how_it_lies_in_the_patient(
    geometry: Geometry, orientation: list[str]
) -> None:
    assert list(captures(volume(geometry))[0].PatientOrientation) == orientation


def test_a_capture_can_be_measured_on() -> None:
    capture = captures(volume(SAGITTAL))[0]
    assert (capture.Rows, capture.Columns) == (520, 1404)
    assert [float(value) for value in capture.PixelSpacing] == pytest.approx([0.5 / 13] * 2)


def test_a_presentation_state_draws_axes_box_and_label_on_the_key_slice() -> None:
    source = volume()
    annotations = state_of(source).GraphicAnnotationSequence
    first = annotations[0]
    drawn = [list(item.GraphicData) for item in first.GraphicObjectSequence]
    assert drawn == [
        [10.5, 20.5, 20.5, 20.5],
        [15.5, 17.5, 15.5, 23.5],
        [10.5, 17.5, 20.5, 17.5, 20.5, 23.5, 10.5, 23.5, 10.5, 17.5],
    ]
    assert first.TextObjectSequence[0].UnformattedTextValue.startswith(
        "Lesion 1: lung 7.0 x 4.2 mm"
    )
    shown = [item.ReferencedImageSequence[0].ReferencedSOPInstanceUID for item in annotations]
    assert shown == [source.slices[2].sop_instance_uid, source.slices[0].sop_instance_uid]
    assert first.GraphicObjectSequence[0].TrackingUID == bookmark(source).tracking_uid


def test_a_presentation_state_has_the_window_of_each_lesion() -> None:
    windows = [
        (item.WindowCenter, item.WindowWidth) for item in state_of(volume()).SoftcopyVOILUTSequence
    ]
    assert windows == [(-600, 1500), (40, 400)]


def test_a_presentation_state_keeps_the_shape_of_pixels() -> None:
    (area,) = state_of(volume(SAGITTAL)).DisplayedAreaSelectionSequence
    assert list(area.PresentationPixelSpacing) == [0.5, 0.9]
    assert "PresentationPixelAspectRatio" not in area


def test_slices_with_another_rescale_get_a_presentation_state_of_their_own() -> None:
    source = volume(RescaleSlope=1, RescaleIntercept=-1024)
    source.headers[0].RescaleIntercept = -1000
    states = states_of(source)
    assert [state.RescaleIntercept for state in states] == [-1024, -1000]
    assert len({state.SOPInstanceUID for state in states}) == 2


def test_the_key_slices_are_selected_in_the_order_of_lesions() -> None:
    source = volume()
    chosen = [item for item in selection_of(source).ContentSequence if item.ValueType == "IMAGE"]
    uids = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in chosen]
    assert uids == [source.slices[2].sop_instance_uid, source.slices[0].sop_instance_uid]
    assert all("ConceptNameCodeSequence" not in item for item in chosen)


def test_frames_are_named_in_every_object() -> None:
    source = enhanced()
    annotation = state_of(source).GraphicAnnotationSequence[1]
    chosen = [item for item in selection_of(source).ContentSequence if item.ValueType == "IMAGE"]
    assert annotation.ReferencedImageSequence[0].ReferencedFrameNumber == 5
    assert [item.ReferencedSOPSequence[0].ReferencedFrameNumber for item in chosen] == [3, 5]
    assert captures(source)[0].SourceImageSequence[0].ReferencedFrameNumber == 3


def test_a_segmentation_holds_the_voxels_of_each_lesion() -> None:
    source = volume()
    found = segmentation_of(source)
    frames: dict[tuple[int, float], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
    for frame, pixels in zip(
        found.PerFrameFunctionalGroupsSequence, found.pixel_array, strict=True
    ):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        frames[number, frame.PlanePositionSequence[0].ImagePositionPatient[2]] = pixels
    assert sorted(frames) == [(1, 32.5), (1, 35.0), (1, 37.5), (2, 30.0)]
    assert np.argwhere(frames[2, 30.0]).tolist() == [[2, 5], [3, 6], [4, 7], [5, 8]]
    assert frames[1, 35.0].sum() == frames[1, 35.0][17:23, 10:21].sum() == 66


def test_a_segment_has_the_tracking_uid_and_site_of_its_lesion() -> None:
    first, second = segmentation_of(volume()).SegmentSequence
    assert first.TrackingUID == bookmark(volume(), 1).tracking_uid
    assert second.AnatomicRegionSequence[0].CodeMeaning == "Liver"
    assert (first.SegmentLabel, second.SegmentLabel) == ("Lesion 1", "Lesion 2")


def test_without_lesions_there_is_nothing_to_show() -> None:
    source = volume()
    others = [kind for kind in Kind if kind is not Kind.REPORT]
    assert [made(source, [], kind) for kind in others] == [[], [], [], []]


def test_every_object_names_the_patient_the_maker_and_the_time_as_the_report_does() -> None:
    source = volume(SpecificCharacterSet="ISO_IR 192", PatientName="王^小东", StudyID="7")
    for found in (
        captures(source)[0],
        state_of(source),
        selection_of(source),
        segmentation_of(source),
    ):
        assert (found.PatientName, found.StudyID) == ("王^小东", "7")
        assert found.SpecificCharacterSet == "ISO_IR 192"
        assert (found.ContentQualification, found.Manufacturer) == ("RESEARCH", "lesionmark")
        assert "Research use only" in found.SeriesDescription
        assert (found.InstanceCreationDate, found.InstanceCreationTime) == (
            "20260304",
            "050607.890000",
        )


def test_the_headers_of_the_volume_stay_as_they_are() -> None:
    source = volume(PatientName="Doe^Jane", SliceThickness="")
    before = deepcopy(source.headers)
    for make in (captures, state_of, selection_of, segmentation_of):
        make(source)
    assert source.headers == before


def test_no_two_objects_share_a_uid_or_a_series() -> None:
    source = volume()
    objects = [
        *captures(source),
        state_of(source),
        selection_of(source),
        segmentation_of(source),
    ]
    assert len({found.SOPInstanceUID for found in objects}) == 5
    assert len({found.SeriesInstanceUID for found in objects}) == 4
    assert len({int(found.SeriesNumber) for found in objects}) == 4
