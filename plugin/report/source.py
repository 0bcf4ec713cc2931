"""The images that an object with bookmarks speaks of, as far as their headers are at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from plugin.errors import InvalidReport
from plugin.report import images
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset


@dataclass(frozen=True)
class Shown:
    """One image, or one frame, as its header describes it."""

    #: Which image.
    place: Slice
    #: Series Instance UID.
    series_instance_uid: str
    #: Frame of Reference UID; empty where there is none.
    frame_of_reference: str
    #: Rows and columns.
    shape: tuple[int, int]
    #: Distance in mm between neighbouring (rows, columns).
    spacing: tuple[float, float]
    #: Centre of the first pixel, mm in LPS, [3].
    position: NDArray[np.float64]
    #: Directions of increasing column and of increasing row, [2, 3].
    directions: NDArray[np.float64]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Direction across the image, [3]."""
        return np.asarray(np.cross(*self.directions))

    @property
    def height(self) -> float:
        """Place along the normal, mm."""
        return float(self.position @ self.normal)

    def to_pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points [points, 3] in mm, LPS -> (column, row) from 0, [points, 2]."""
        row_mm, column_mm = self.spacing
        return np.asarray((points - self.position) @ self.directions.T / (column_mm, row_mm))

    def distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far points [points, 3] lie above the image, mm, [points]."""
        return np.asarray((points - self.position) @ self.normal)


@dataclass(frozen=True)
class Source:
    """What is known of the images."""

    #: Headers, of one series or of several; what is no image in the patient is passed over.
    headers: Sequence[Dataset] = ()
    #: Where each slice of a volume comes from, ascending along the normal; None where there is no
    #: volume, then the images of a series count in their order along the normal.
    slices: Sequence[Slice] | None = None
    #: Series Instance UID by SOP Instance UID, as the object refers to its images.
    references: dict[str, str] = field(default_factory=dict)

    @cached_property
    def shown(self) -> dict[Slice, Shown]:
        """The images whose headers are at hand, ascending along the normal in each series."""
        found = [each for header in self.headers for each in _shown(header)]
        ordered = sorted(found, key=lambda each: (each.series_instance_uid, each.height))
        return {each.place: each for each in ordered}

    def known(self, place: Slice) -> Slice:
        """A place as the headers name it: some writers number the frame of a single one."""
        single = Slice(place.sop_instance_uid, None)
        return single if place.frame_number == 1 and single in self.shown else place

    def series_of(self, place: Slice, where: str) -> str:
        """Series Instance UID of an image. Raises InvalidReport for one that nobody refers to."""
        if place in self.shown:
            return self.shown[place].series_instance_uid
        if place.sop_instance_uid not in self.references:
            uid = place.sop_instance_uid
            raise InvalidReport(f"{where}: instance {uid} is not among the images referred to")
        return self.references[place.sop_instance_uid]

    def index(self, place: Slice, where: str) -> int:
        """Index of an image among the slices. Raises InvalidReport for one that is not there."""
        if self.slices is not None:
            order = list(self.slices)
        elif place in self.shown:
            order = [each.place for each in self.of_series(self.series_of(place, where))]
        else:
            order = [Slice(uid, place.frame_number) for uid in self.references]
        if place not in order:
            raise InvalidReport(
                f"{where}: instance {place.sop_instance_uid} is not among the slices"
            )
        return order.index(place)

    def spacing(self, place: Slice, where: str) -> tuple[float, float]:
        """Distance in mm of neighbouring (rows, columns). Raises InvalidReport when not known."""
        return self.image(place, where).spacing

    def image(self, place: Slice, where: str) -> Shown:
        """The header's facts of an image. Raises InvalidReport when it is not at hand."""
        if place not in self.shown:
            uid = place.sop_instance_uid
            raise InvalidReport(f"{where}: instance {uid} is not in the series")
        return self.shown[place]

    def of_series(self, series_instance_uid: str) -> list[Shown]:
        """The images of a series, ascending along the normal."""
        return [s for s in self.shown.values() if s.series_instance_uid == series_instance_uid]


def _shown(header: Dataset) -> Iterator[Shown]:
    numbers = range(1, int(header.NumberOfFrames) + 1) if "NumberOfFrames" in header else [None]
    for number in numbers:
        position = images.attribute(header, number, "PlanePositionSequence", "ImagePositionPatient")
        directions = images.attribute(
            header, number, "PlaneOrientationSequence", "ImageOrientationPatient"
        )
        spacing = images.attribute(header, number, "PixelMeasuresSequence", "PixelSpacing")
        if position and directions and spacing:
            down, across = spacing
            yield Shown(
                place=Slice(str(header.SOPInstanceUID), number),
                series_instance_uid=str(header.SeriesInstanceUID),
                frame_of_reference=str(header.get("FrameOfReferenceUID") or ""),
                shape=(int(header.Rows), int(header.Columns)),
                spacing=(float(down), float(across)),
                position=np.array([float(each) for each in position]),
                directions=np.array([float(each) for each in directions]).reshape(2, 3),
            )


def references(document: Dataset) -> dict[str, str]:
    """Series Instance UID by SOP Instance UID of the images that a report or state refers to.

    The evidence of a report (PS3.3 C.17.2.3), or the images of a presentation state (C.11.11).
    """
    evidence = [
        each
        for keyword in (
            "CurrentRequestedProcedureEvidenceSequence",
            "PertinentOtherEvidenceSequence",
        )
        for study in document.get(keyword) or []
        for each in study.get("ReferencedSeriesSequence") or []
    ]
    return {
        str(instance.ReferencedSOPInstanceUID): str(series.SeriesInstanceUID)
        for series in [*evidence, *(document.get("ReferencedSeriesSequence") or [])]
        for keyword in ("ReferencedSOPSequence", "ReferencedImageSequence")
        for instance in series.get(keyword) or []
    }
