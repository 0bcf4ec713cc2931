"""A presentation state: diameters, box and label of every lesion laid over its key slice."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from highdicom import ModalityLUTTransformation
from highdicom.color import CIELabColor
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    SoftcopyVOILUTTransformation,
    TextObject,
)
from pydicom import DataElement

from plugin.report import identity, images, key_image, provenance, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom import Dataset

    from plugin.bookmark import Bookmark, Point
    from plugin.report.findings import Findings
    from plugin.report.images import KeyImage
    from plugin.report.key_image import Window
    from plugin.volume import Volume

    #: A bookmark with its number in the report and the image it lies in.
    _Mark = tuple[int, Bookmark, KeyImage]

SERIES = provenance.ObjectSeries("presentation states", 11000, "Lesions")


def encode(findings: Findings) -> tuple[Dataset, ...]:
    """Grayscale Softcopy Presentation States (PS3.3 A.33.1); none when there are no bookmarks.

    It is one, unless key slices differ in how stored values become HU: a presentation
    state has one such rule for all its images. Raises InvalidReport for an unknown key slice.
    """
    groups: dict[tuple[float, float], list[_Mark]] = defaultdict(list)
    for number, bookmark in enumerate(findings.bookmarks, start=1):
        image = images.key_image(findings.volume, bookmark)
        groups[image.rescale].append((number, bookmark, image))
    return tuple(
        _state(findings, marks, number) for number, marks in enumerate(groups.values(), start=1)
    )


def _state(findings: Findings, marks: list[_Mark], number: int) -> Dataset:
    layer = GraphicLayer(provenance.CONTENT_LABEL, 1, display_color=_colour())
    slope, intercept = marks[0][2].rescale
    state: Dataset = GrayscaleSoftcopyPresentationState(
        referenced_images=list(_stand_ins(findings.volume, marks).values()),
        graphic_layers=[layer],
        graphic_annotations=[_annotation(findings.volume, mark, layer) for mark in marks],
        modality_lut_transformation=ModalityLUTTransformation(intercept, slope, "HU"),
        voi_lut_transformations=_windows(marks),
        **provenance.arguments(findings, SERIES, "presentation", str(number), number=number),
        **provenance.content_arguments(findings),
    )
    provenance.complete(state, findings)
    state.Laterality = ""  # type 2C: a slice may show both sides
    _keep_proportions(state, marks[0][2])
    return state


def _colour() -> CIELabColor:
    return CIELabColor.from_rgb(*key_image.LONG_AXIS_COLOUR)


def _stand_ins(volume: Volume, marks: Iterable[_Mark]) -> dict[str, Dataset]:
    """For each image what highdicom asks of it, by SOP Instance UID."""
    headers = images.headers_by_uid(volume)
    found = {}
    for _, _, image in marks:
        header = headers[image.sop_instance_uid]
        stand_in = identity.evidence(header)
        stand_in.Rows, stand_in.Columns, stand_in.SamplesPerPixel = image.rows, image.columns, 1
        if image.frames:
            stand_in.NumberOfFrames = header.NumberOfFrames
        found[image.sop_instance_uid] = stand_in
    return found


def _annotation(volume: Volume, mark: _Mark, layer: GraphicLayer) -> GraphicAnnotation:
    number, bookmark, image = mark
    shapes = (bookmark.long_axis, bookmark.short_axis, images.outline(bookmark.box))
    return GraphicAnnotation(
        referenced_images=list(_stand_ins(volume, [mark]).values()),
        referenced_frame_number=image.frames,
        graphic_layer=layer,
        graphic_objects=[_line(shape, number, bookmark) for shape in shapes],
        text_objects=[_label(number, bookmark)],
    )


def _line(points: Sequence[Point], number: int, bookmark: Bookmark) -> GraphicObject:
    return GraphicObject(
        graphic_type="POLYLINE",
        graphic_data=np.array([images.to_scoord(point) for point in points]),  # [points, 2]
        units="PIXEL",
        tracking_id=text.name(number),
        tracking_uid=bookmark.tracking_uid,
    )


def _label(number: int, bookmark: Bookmark) -> TextObject:
    return TextObject(
        text_value=text.label(number, bookmark),
        units="PIXEL",
        anchor_point=images.to_scoord((bookmark.box[2], bookmark.box[1])),
        anchor_point_visible=False,
        tracking_id=text.name(number),
        tracking_uid=bookmark.tracking_uid,
    )


def _windows(marks: list[_Mark]) -> list[SoftcopyVOILUTTransformation]:
    """The window of each key slice, which is that of the first lesion in it."""
    window_of: dict[KeyImage, Window] = {}
    for _, bookmark, image in marks:
        window_of.setdefault(image, key_image.window_of(bookmark))
    return [
        _transformation(window, [image for image in window_of if window_of[image] == window])
        for window in dict.fromkeys(window_of.values())
    ]


def _transformation(window: Window, shown: list[KeyImage]) -> SoftcopyVOILUTTransformation:
    item = SoftcopyVOILUTTransformation(window_center=window.centre, window_width=window.width)
    references: list[Dataset] = [images.reference(image) for image in shown]
    item["ReferencedImageSequence"] = DataElement("ReferencedImageSequence", "SQ", references)
    return item


def _keep_proportions(state: Dataset, image: KeyImage) -> None:
    """Give the displayed area the pixels' own shape; highdicom takes them for square."""
    for area in state.DisplayedAreaSelectionSequence:
        del area.PresentationPixelAspectRatio
        area.PresentationPixelSpacing = list(image.pixel_spacing)
        del area.PixelOriginInterpretation  # only for tiled images
