"""One bookmark as a Measurement and Qualitative Evaluation Group (TID 1501).

The order matters to viewers: they take the first NUM of a group as the long axis and its
first child as the two ends, so nothing may come before or between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CoordinatesForMeasurement,
    FindingSite,
    GraphicTypeValues,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)

from plugin.report import codes, images, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.sr.coding import Code

    from plugin.bookmark import Axis, Bookmark, Point
    from plugin.report.images import KeyImage
    from plugin.volume import Volume

#: Viewers built on Cornerstone3D take a group as a pair of diameters by this prefix.
TRACKING_PREFIX = "Cornerstone3DTools@^0.1.0:Bidirectional:"
#: Decimals written: lengths in mm, certainty in percent, attenuation in HU, volume in mm3.
LENGTH_DECIMALS, CERTAINTY_DECIMALS, ATTENUATION_DECIMALS, VOLUME_DECIMALS = 2, 2, 1, 1


def measurement_group(
    number: int, bookmark: Bookmark, volume: Volume, algorithm: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations:
    """The group of lesion `number` (from 1). Raises InvalidReport for an unknown key slice."""
    image = images.key_image(volume, bookmark)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=bookmark.tracking_uid, identifier=TRACKING_PREFIX + text.name(number)
        ),
        finding_type=codes.LESION,
        finding_sites=[FindingSite(codes.SITES[bookmark.lesion_type])],
        algorithm_id=algorithm,
        measurements=_measurements(bookmark, image),
        source_images=_source_images(bookmark, volume),
    )
    group[0].ContentSequence.append(_comment(text.label(number, bookmark)))
    return group


def _measurements(bookmark: Bookmark, image: KeyImage) -> list[Measurement]:
    return [
        _axis(codes.LONG_AXIS, bookmark.long_axis, bookmark.long_axis_mm, image),
        _axis(codes.SHORT_AXIS, bookmark.short_axis, bookmark.short_axis_mm, image),
        _certainty(bookmark, image),
        _attenuation(bookmark),
        _volume(bookmark),
    ]


def _axis(name: Code, axis: Axis, length_mm: float, image: KeyImage) -> Measurement:
    # No method, derivation or algorithm here: each would push the points from first place.
    return Measurement(
        name=name,
        value=round(float(length_mm), LENGTH_DECIMALS),
        unit=codes.MILLIMETRE,
        referenced_coordinates=[_polyline(axis, image)],
    )


def _certainty(bookmark: Bookmark, image: KeyImage) -> Measurement:
    return Measurement(
        name=codes.CERTAINTY,
        value=round(100.0 * bookmark.score, CERTAINTY_DECIMALS),
        unit=codes.PERCENT,
        referenced_coordinates=[_polyline(images.outline(bookmark.box), image)],
    )


def _attenuation(bookmark: Bookmark) -> Measurement:
    return Measurement(
        name=codes.ATTENUATION,
        value=round(float(bookmark.mean_hu), ATTENUATION_DECIMALS),
        unit=codes.HOUNSFIELD,
        derivation=codes.MEAN,
    )


def _volume(bookmark: Bookmark) -> Measurement:
    return Measurement(
        name=codes.VOLUME,
        value=round(float(bookmark.volume_mm3), VOLUME_DECIMALS),
        unit=codes.CUBIC_MILLIMETRE,
    )


def _polyline(points: Sequence[Point], image: KeyImage) -> CoordinatesForMeasurement:
    return CoordinatesForMeasurement(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=np.array([images.to_scoord(point) for point in points]),  # [points, 2]
        source_image=SourceImageForRegion(
            referenced_sop_class_uid=image.sop_class_uid,
            referenced_sop_instance_uid=image.sop_instance_uid,
            referenced_frame_numbers=image.frames,
        ),
    )


def _source_images(bookmark: Bookmark, volume: Volume) -> list[SourceImageForMeasurementGroup]:
    """A reference to each slice that the lesion reaches, ascending along the normal."""
    first, last = bookmark.slice_range
    reached = [images.image_of(volume, place) for place in volume.slices[first : last + 1]]
    return [
        SourceImageForMeasurementGroup(
            referenced_sop_class_uid=image.sop_class_uid,
            referenced_sop_instance_uid=image.sop_instance_uid,
            referenced_frame_numbers=image.frames,
        )
        for image in reached
    ]


def _comment(value: str) -> TextContentItem:
    return TextContentItem(
        name=codes.COMMENT, value=value, relationship_type=RelationshipTypeValues.CONTAINS
    )
