"""Ways in which an object beside the report can be wrong, and what the refusal of each names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom import Dataset

from plugin import Kind

#: Breaks the objects of one kind: the first of them, or all of them as a list.
Mutation = Callable[[list[Dataset]], None]


def put(path: str, value: Any) -> Mutation:
    """Set an attribute of the first object: "Sequence.0.Keyword" leads into items."""

    def mutate(objects: list[Dataset]) -> None:
        *way, keyword = path.split(".")
        setattr(follow(objects[0], way), keyword, value)

    return mutate


def drop(path: str) -> Mutation:
    """Delete an attribute, or an item of a sequence, of the first object."""

    def mutate(objects: list[Dataset]) -> None:
        *way, last = path.split(".")
        holder = follow(objects[0], way)
        if last.isdigit():
            del holder[int(last)]
        else:
            delattr(holder, last)

    return mutate


def follow(item: Any, way: list[str]) -> Any:
    for step in way:
        item = item[int(step)] if step.isdigit() else getattr(item, step)
    return item


def no_object(objects: list[Dataset]) -> None:
    objects.clear()


def exchange_points(objects: list[Dataset]) -> None:
    """Columns and rows of the first line."""
    line = objects[0].GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    column0, row0, column1, row1 = line.GraphicData
    line.GraphicData = [row0, column0, row1, column1]


def exchange_lesions(objects: list[Dataset]) -> None:
    """The lines of one lesion under the name of the other."""
    first, second = objects[0].GraphicAnnotationSequence
    pairs = ((first, second), (second, first))
    uids = [other.TextObjectSequence[0].TrackingUID for _, other in pairs]
    for (annotation, _), uid in zip(pairs, uids, strict=True):
        for item in (*annotation.GraphicObjectSequence, *annotation.TextObjectSequence):
            item.TrackingUID = uid


def rename_lesion(objects: list[Dataset]) -> None:
    annotation = objects[0].GraphicAnnotationSequence[0]
    for item in (*annotation.GraphicObjectSequence, *annotation.TextObjectSequence):
        item.TrackingUID = "1.2.3"


def share_segment_uid(objects: list[Dataset]) -> None:
    first, second = objects[0].SegmentSequence
    second.TrackingUID = first.TrackingUID


def exchange_segments(objects: list[Dataset]) -> None:
    first, second = objects[0].SegmentSequence
    first.TrackingUID, second.TrackingUID = second.TrackingUID, first.TrackingUID


def empty_mask(objects: list[Dataset]) -> None:
    objects[0].PixelData = bytes(len(objects[0].PixelData))


def shift_mask(objects: list[Dataset]) -> None:
    """Every frame one byte of voxels later."""
    objects[0].PixelData = bytes(1) + objects[0].PixelData[:-1]


def drop_last_frame(objects: list[Dataset]) -> None:
    """The one frame of the second lesion."""
    del objects[0].PerFrameFunctionalGroupsSequence[-1]
    objects[0].NumberOfFrames -= 1


def shrink(objects: list[Dataset]) -> None:
    objects[0].Rows, objects[0].Columns = 256, 512
    objects[0].PixelData = bytes(3 * 256 * 512)


def reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPInstanceUID = uid
    return item


def exchange_captures(objects: list[Dataset]) -> None:
    objects.reverse()


def retag(objects: list[Dataset]) -> None:
    objects[0].file_meta.MediaStorageSOPClassUID = "1.2.3"


#: What no object may be, whatever its kind.
ORIGIN: dict[str, tuple[Mutation, str]] = {
    "another class": (put("SOPClassUID", "1.2.3"), "SOPClassUID is 1.2.3"),
    "another class in the file meta": (retag, "MediaStorageSOPClassUID is not the SOPClassUID"),
    "another patient": (put("PatientID", "54321"), "PatientID differs"),
    "another name": (put("PatientName", "Roe^Jane"), "PatientName differs"),
    "another study": (put("StudyInstanceUID", "1.2.3"), "StudyInstanceUID differs"),
    "no series": (put("SeriesInstanceUID", ""), "SeriesInstanceUID is not that of a series"),
    "not research": (put("ContentQualification", "PRODUCT"), "ContentQualification is 'PRODUCT'"),
    "no notice": (put("SeriesDescription", "Lesions"), "SeriesDescription does not say"),
    "no object": (no_object, "lesions"),
}
ANNOTATION = "GraphicAnnotationSequence.0"
LINE = f"{ANNOTATION}.GraphicObjectSequence"
TEXT = f"{ANNOTATION}.TextObjectSequence.0"
SERIES = "ReferencedSeriesSequence.0"
AREA, WINDOW = "DisplayedAreaSelectionSequence", "SoftcopyVOILUTSequence"
EVIDENCE = "CurrentRequestedProcedureEvidenceSequence.0.ReferencedSeriesSequence.0"
FRAME = "PerFrameFunctionalGroupsSequence.0"
SOURCE = f"{FRAME}.DerivationImageSequence.0.SourceImageSequence"

#: What is broken in the objects of a kind -> how, and what the refusal names.
MUTATIONS: dict[Kind, dict[str, tuple[Mutation, str]]] = {
    Kind.PRESENTATION_STATE: {
        "columns and rows swapped": (exchange_points, "Lesion 1: Long Axis is not drawn where"),
        "a point outside": (
            put(f"{LINE}.0.GraphicData", [10.5, 20.5, 90.5, 20.5]),
            r"Lesion 1: Long Axis: point \(90.5, 20.5\) lies outside",
        ),
        "a third point": (put(f"{LINE}.1.GraphicData", [1, 1, 2, 2, 3, 3]), "Short Axis is not"),
        "another box": (put(f"{LINE}.2.GraphicData", [10.5, 17.5] * 5), "box is not drawn where"),
        "a circle": (put(f"{LINE}.0.GraphicType", "CIRCLE"), "Long Axis is not a polyline"),
        "parts of the screen": (put(f"{LINE}.0.GraphicAnnotationUnits", "DISPLAY"), "in pixels"),
        "no box": (drop(f"{LINE}.2"), "Lesion 1: 2 lines are drawn instead of 3"),
        "another label": (put(f"{TEXT}.UnformattedTextValue", "Lesion 2"), "Lesion 1: the text"),
        "no label": (drop(f"{ANNOTATION}.TextObjectSequence"), "Lesion 1: the text is not"),
        "label outside": (put(f"{TEXT}.AnchorPoint", [70.5, 1.5]), r"text: point \(70.5, 1.5\)"),
        "label on the screen": (put(f"{TEXT}.AnchorPointAnnotationUnits", "DISPLAY"), "anchored"),
        "lesions exchanged": (exchange_lesions, "Lesion 1 is not drawn on its key slice"),
        "lines of two lesions": (put(f"{LINE}.0.TrackingUID", "1.2.3"), "exactly one lesion"),
        "a lesion not drawn": (drop(ANNOTATION), "1 of 2 lesions are drawn"),
        "an unknown lesion": (rename_lesion, "Lesion 1 is not drawn"),
        "no layer": (put("GraphicLayerSequence", []), "GraphicLayer LESIONS is not declared"),
        "an unknown instance": (
            put(f"{ANNOTATION}.ReferencedImageSequence.0.ReferencedSOPInstanceUID", "1.2.3"),
            r"annotation: instance 1\.2\.3 is not among those analysed",
        ),
        "another class of instance": (
            put(f"{SERIES}.ReferencedImageSequence.0.ReferencedSOPClassUID", "1.2.3"),
            "ReferencedSOPClassUID is not that of instance",
        ),
        "an instance not shown": (
            drop(f"{SERIES}.ReferencedImageSequence.0"),
            "does not cover the images",
        ),
        "another series": (put(f"{SERIES}.SeriesInstanceUID", "1.2.3"), "names another series"),
        "no series of images": (put("ReferencedSeriesSequence", []), "names no image"),
        "no window": (put(WINDOW, []), "SoftcopyVOILUTSequence does not cover the images"),
        "no area": (put(AREA, []), "DisplayedAreaSelectionSequence does not cover the images"),
        "a part of the image": (
            put(f"{AREA}.0.DisplayedAreaBottomRightHandCorner", [30, 30]),
            "does not show the whole image",
        ),
        "another rescale": (put("RescaleIntercept", -1000), "Rescale differs"),
    },
    Kind.KEY_OBJECTS: {
        "another title": (put("ConceptNameCodeSequence.0.CodeValue", "1"), "title is not Of Inter"),
        "no observer": (drop("ContentSequence.1"), "Device Observer UID"),
        "no description": (drop("ContentSequence.6"), "no Key Object Description"),
        "no notice in it": (put("ContentSequence.6.TextValue", "Look"), "Description does not say"),
        "an image fewer": (drop("ContentSequence.8"), "are not the key slices"),
        "an image twice": (
            lambda objects: objects[0].ContentSequence.append(objects[0].ContentSequence[7]),
            "are not the key slices",
        ),
        "a named image": (
            put("ContentSequence.7.ConceptNameCodeSequence", []),
            "IMAGE item has a concept name",
        ),
        "an unknown instance": (
            put("ContentSequence.7.ReferencedSOPSequence.0.ReferencedSOPInstanceUID", "1.2.3"),
            r"key image: instance 1\.2\.3 is not among",
        ),
        "another class of instance": (
            put("ContentSequence.7.ReferencedSOPSequence.0.ReferencedSOPClassUID", "1.2.3"),
            "key image: ReferencedSOPClassUID is not that of",
        ),
        "evidence lacks an image": (
            drop(f"{EVIDENCE}.ReferencedSOPSequence.0"),
            "is not in the evidence",
        ),
        "evidence that is not selected": (
            lambda objects: follow(objects[0], EVIDENCE.split(".")).ReferencedSOPSequence.append(
                reference("1.2.3")
            ),
            r"instance 1\.2\.3 is evidence, but not selected",
        ),
    },
    Kind.KEY_IMAGES: {
        "words not burned in": (put("BurnedInAnnotation", "NO"), "BurnedInAnnotation is 'NO'"),
        "grey": (put("PhotometricInterpretation", "MONOCHROME2"), "PhotometricInterpretation is"),
        "digitized film": (put("ConversionType", "DF"), "ConversionType is 'DF'"),
        "a row fewer": (put("Rows", 519), "PixelData is not that of 519 x"),
        "no pixels": (drop("PixelData"), "PixelData is not that of"),
        "too small to read": (shrink, "256 x 512 pixels are too few"),
        "another spacing": (put("PixelSpacing", [0.7, 0.7]), "PixelSpacing is not that of"),
        "no spacing": (drop("PixelSpacing"), "PixelSpacing is not that of"),
        "no source": (put("SourceImageSequence", []), "Lesion 1: SourceImageSequence"),
        "an unknown source": (
            put("SourceImageSequence.0.ReferencedSOPInstanceUID", "1.2.3"),
            r"source image: instance 1\.2\.3 is not among",
        ),
        "another label": (put("ImageComments", "Lesion 1"), "ImageComments does not say: Lesion 1"),
        "pictures exchanged": (exchange_captures, "Lesion 1: SourceImageSequence does not name"),
    },
    Kind.SEGMENTATION: {
        "another frame of reference": (put("FrameOfReferenceUID", "1.2.3"), "FrameOfReferenceUID"),
        "probabilities": (
            put("SegmentationType", "FRACTIONAL"),
            "SegmentationType is",
        ),
        "another matrix": (put("Columns", 61), "Columns is 61 and not 60"),
        "a segment fewer": (drop("SegmentSequence.1"), "not one segment a lesion"),
        "another number": (put("SegmentSequence.1.SegmentNumber", 3), "not one segment a lesion"),
        "no tracking UID": (drop("SegmentSequence.0.TrackingUID"), "Lesion 1: TrackingUID is not"),
        "shared tracking UID": (share_segment_uid, "TrackingUID .* is not unique"),
        "segments exchanged": (exchange_segments, "Lesion 1: TrackingUID is not that"),
        "empty": (empty_mask, "voxels differ in slice"),
        "shifted": (shift_mask, "voxels differ in slice"),
        "no pixels": (drop("PixelData"), "NumberOfFrames is not that of the PixelData"),
        "a frame fewer": (drop(FRAME), "NumberOfFrames is not that of the PixelData"),
        "another slice": (
            put(f"{FRAME}.PlanePositionSequence.0.ImagePositionPatient", [-100, -120, 40]),
            "Lesion 1: ImagePositionPatient is not that of slice",
        ),
        "an unknown instance": (
            put(f"{SOURCE}.0.ReferencedSOPInstanceUID", "1.2.3"),
            r"Lesion 1: instance 1\.2\.3 is not among",
        ),
        "no source": (put(SOURCE, []), "Lesion 1: a frame has 0 source images"),
        "the other segment": (
            put(f"{FRAME}.SegmentIdentificationSequence.0.ReferencedSegmentNumber", 2),
            "Lesion 2: voxels differ in slice",
        ),
        "no segment": (
            drop(f"{FRAME}.SegmentIdentificationSequence.0"),
            r"a frame is of the segments \[\]",
        ),
        "an unknown segment": (
            put(f"{FRAME}.SegmentIdentificationSequence.0.ReferencedSegmentNumber", 3),
            r"a frame is of the segments \[3\]",
        ),
        "a lesion that is not segmented": (drop_last_frame, "Lesion 2: 0 voxels are segmented"),
    },
}
