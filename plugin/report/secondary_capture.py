"""Key images: the picture of each lesion as a Secondary Capture, for viewers that draw no SR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from highdicom.sc import SCImage
from highdicom.spatial import get_closest_patient_orientation

from plugin.report import codes, equipment, images, provenance, text
from plugin.report.key_image import draw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

#: The Series Number is that of the images plus this.
SERIES_NUMBER_OFFSET = 10000
SERIES_DESCRIPTION = f"Key images. {text.RESEARCH_USE}"


def encode(
    volume: Volume,
    bookmarks: Sequence[Bookmark],
    *,
    model: str,
    now: datetime,
    scale: int | None = None,
) -> tuple[Dataset, ...]:
    """One Secondary Capture (PS3.3 A.8.1) a bookmark, its diameters and label burned in.

    `scale` is that of `key_image.draw`. Raises InvalidReport for an unknown key slice.
    """
    return tuple(
        _capture(volume, bookmark, number, model, now, scale)
        for number, bookmark in enumerate(bookmarks, start=1)
    )


def _capture(
    volume: Volume, bookmark: Bookmark, number: int, model: str, now: datetime, scale: int | None
) -> Dataset:
    pixels = np.asarray(draw(volume, bookmark, number=number, scale=scale))  # [row, column, 3]
    capture: Dataset = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=patient_orientation(volume),
        pixel_spacing=_spacing(volume, pixels.shape),
        study_instance_uid=images.first_header(volume).StudyInstanceUID,
        series_instance_uid=provenance.series_uid(volume, model, "key images"),
        series_number=provenance.series_number(volume, SERIES_NUMBER_OFFSET),
        series_description=SERIES_DESCRIPTION,
        sop_instance_uid=provenance.instance_uid(volume, model, "key image", str(number)),
        instance_number=number,
        manufacturer=equipment.DEVICE_NAME,
        content_qualification="RESEARCH",
    )
    provenance.complete(capture, volume, model, now)
    _describe(capture, volume, bookmark, text.label(number, bookmark))
    return capture


def _describe(capture: Dataset, volume: Volume, bookmark: Bookmark, label: str) -> None:
    """Say that words are burned in, what they are, and what was captured."""
    image = images.key_image(volume, bookmark)
    source = images.reference(image)
    source.PurposeOfReferenceCodeSequence = [codes.item(codes.SOURCE_IMAGE)]
    capture.ConversionType = "WSD"  # made on a workstation
    capture.Laterality = ""  # type 2C: the slice may show both sides
    capture.BurnedInAnnotation = "YES"
    capture.ImageComments = f"{label}. {text.RESEARCH_USE}."
    capture.DerivationDescription = "Key slice, windowed, with diameters and label drawn"
    capture.SourceImageSequence = [source]


def patient_orientation(volume: Volume) -> tuple[str, str]:
    """Where (rows, columns) of the slices point in the patient: "L", "P", "F" and so on."""
    along_row, down_column = volume.affine[:3, 2], volume.affine[:3, 1]
    normal = np.cross(along_row, down_column)  # tilted slices shift along another direction
    directions = np.stack([along_row, down_column, normal], axis=1)
    across, down, _ = get_closest_patient_orientation(
        directions / np.linalg.norm(directions, axis=0)
    )
    return across.value, down.value


def _spacing(volume: Volume, shape: tuple[int, ...]) -> tuple[float, float]:
    """Distance in mm between neighbouring (rows, columns) of the picture."""
    _, down, across = volume.spacing
    rows, columns = volume.hu.shape[1:]
    return down * rows / shape[0], across * columns / shape[1]
