"""Key images: the picture of each lesion as a Secondary Capture, for viewers that draw no SR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from highdicom.sc import SCImage
from highdicom.spatial import get_closest_patient_orientation

from plugin.report import codes, images, provenance, text
from plugin.report.key_image import draw

if TYPE_CHECKING:
    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.report.findings import Findings
    from plugin.volume import Volume

SERIES = provenance.ObjectSeries("key images", 10000, "Key images")


def encode(findings: Findings) -> tuple[Dataset, ...]:
    """One Secondary Capture (PS3.3 A.8.1) a bookmark, its diameters and label burned in.

    Raises InvalidReport for an unknown key slice.
    """
    return tuple(
        _capture(findings, bookmark, number)
        for number, bookmark in enumerate(findings.bookmarks, start=1)
    )


def _capture(findings: Findings, bookmark: Bookmark, number: int) -> Dataset:
    volume = findings.volume
    pixels = np.asarray(draw(volume, bookmark, number=number))  # [row, column, 3]
    capture: Dataset = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=patient_orientation(volume),
        pixel_spacing=spacing(volume, *pixels.shape[:2]),
        study_instance_uid=images.first_header(volume).StudyInstanceUID,
        **provenance.arguments(findings, SERIES, "key image", str(number), number=number),
    )
    provenance.complete(capture, findings)
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


def spacing(volume: Volume, rows: int, columns: int) -> tuple[float, float]:
    """Distance in mm between neighbouring (rows, columns) of a slice drawn in that size."""
    _, down, across = volume.spacing
    stored_rows, stored_columns = volume.hu.shape[1:]
    return down * stored_rows / rows, across * stored_columns / columns
