"""Headers of a CT series -> the planes of one stack.

A plane is one slice as its header describes it: an instance, or one frame of a multi-frame
instance. Nothing here decodes a pixel.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from plugin.errors import UnsuitableSeries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pydicom import Dataset

Vector = NDArray[np.float64]

#: What can become a volume (PS3.4 Annex B.5).
CT_STORAGE: frozenset[str] = frozenset(
    {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
)
#: Rescale Type (0028,1054) whose numbers are HU; US (unspecified) is common in older CT.
HU_TYPES = frozenset({"HU", "HU_MOD", "US", ""})
#: Fewer slices hold no lesion with certainty, and no spacing worth trusting.
MINIMUM_SLICES = 5
#: More voxels do not fit in the memory of a workstation (4 GiB as float32).
MAXIMUM_VOXELS = 2**30
#: Slices closer than this lie in the same position, mm.
SAME_POSITION_MM = 0.01
#: How far a gap may be from the usual one: positions are often rounded to 0.1 mm.
GAP_TOLERANCE_MM = 0.11
#: The same, as a fraction of the usual gap.
GAP_TOLERANCE = 0.1


@dataclass(frozen=True)
class Plane:
    """One slice as its header describes it."""

    #: PS3.10 file that holds it.
    path: Path
    #: Header of the instance, without pixel data.
    header: Dataset
    #: Frame in the instance, from 1; None for single-frame images.
    frame_number: int | None
    #: Image Position (Patient): centre of the first pixel, mm in LPS, [3].
    position: Vector
    #: Image Orientation (Patient): directions of rows, then of columns, [6].
    orientation: Vector
    #: Distance between the centres of neighbouring (rows, columns), mm.
    pixel_spacing: tuple[float, float]
    #: HU = slope * stored value + intercept.
    slope: float
    #: See `slope`; HU.
    intercept: float

    @property
    def uid(self) -> str:
        """SOP Instance UID of the instance."""
        return str(self.header.SOPInstanceUID)

    @property
    def name(self) -> str:
        """What a remark calls it."""
        frame = "" if self.frame_number is None else f", frame {self.frame_number}"
        return f"instance {self.uid}{frame}"

    @property
    def normal(self) -> Vector:
        """Unit normal of the plane, row direction x column direction, [3]."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """Which of two slices in the same position comes first."""
        header = self.header
        acquisition = header.get("AcquisitionNumber") or 0
        instance = header.get("InstanceNumber") or 0
        return int(acquisition), int(instance), self.frame_number or 0, self.uid


def planes_of(path: Path, header: Dataset) -> list[Plane]:
    """Every slice of one instance. Raises UnsuitableSeries when the header lacks geometry."""
    if "NumberOfFrames" not in header and header.SOPClassUID == CTImageStorage:
        return [_plane(path, header, None)]
    frames = range(1, int(header.get("NumberOfFrames", 1)) + 1)
    return [_plane(path, header, number) for number in frames]


def reason_to_set_aside(header: Dataset) -> str | None:
    """Why an instance has no place in the volume; None when it has one."""
    if header.get("SOPClassUID") not in CT_STORAGE:
        return f"is {getattr(header.get('SOPClassUID'), 'name', 'of unknown class')}, not a CT"
    if "LOCALIZER" in (header.get("ImageType") or ()):
        return "is a localizer"
    if header.get("SamplesPerPixel", 1) != 1:
        return "holds colours, not attenuation"
    return None


def check_one_source(headers: Sequence[Dataset]) -> None:
    """Raise UnsuitableSeries when instances of different origin are mixed."""
    for keyword, words in (
        ("PatientID", "patient"),
        ("StudyInstanceUID", "study"),
        ("SeriesInstanceUID", "series"),
        ("FrameOfReferenceUID", "frame of reference"),
    ):
        values = {str(header.get(keyword) or "") for header in headers}
        if len(values) > 1:
            raise UnsuitableSeries(f"more than one {words}: {len(values)} values of {keyword}")


def stack(planes: Sequence[Plane]) -> tuple[list[Plane], list[str]]:
    """The planes of one regular stack, ascending along their normal, and the remarks.

    Raises UnsuitableSeries when slices are too few, missing or unevenly spaced.
    """
    alike, others = _alike(planes)
    single, duplicates = _one_per_position(alike)
    if len(single) < MINIMUM_SLICES:
        raise UnsuitableSeries(
            f"{len(single)} slices of the same shape and orientation, "
            f"at least {MINIMUM_SLICES} are needed"
        )
    _check_regular(single)
    return single, others + duplicates


def step(planes: Sequence[Plane]) -> Vector:
    """Mean shift from one slice of a stack to the next, mm in LPS, [3].

    It leaves the normal where the gantry was tilted.
    """
    shift: Vector = planes[-1].position - planes[0].position
    return shift / (len(planes) - 1)


def _plane(path: Path, header: Dataset, frame: int | None) -> Plane:
    try:
        transformation = _macro(header, frame, "PixelValueTransformationSequence")
        _check_hu(header, transformation)
        slope, intercept = _rescale(transformation)
        rows_mm, columns_mm = _macro(header, frame, "PixelMeasuresSequence").PixelSpacing
        return Plane(
            path=path,
            header=header,
            frame_number=frame,
            position=_vector(
                _macro(header, frame, "PlanePositionSequence").ImagePositionPatient, 3
            ),
            orientation=_vector(
                _macro(header, frame, "PlaneOrientationSequence").ImageOrientationPatient, 6
            ),
            pixel_spacing=(float(rows_mm), float(columns_mm)),
            slope=slope,
            intercept=intercept,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise UnsuitableSeries(f"instance {header.SOPInstanceUID}: {error}") from error


def _macro(header: Dataset, frame: int | None, sequence: str) -> Dataset:
    """The item that describes a frame (PS3.3 C.7.6.16): its own, the shared one, or the header."""
    if frame is None:
        return header
    own = header.PerFrameFunctionalGroupsSequence[frame - 1]
    shared = header.get("SharedFunctionalGroupsSequence") or [{}]
    items = own.get(sequence) or shared[0].get(sequence) or [header]
    item: Dataset = items[0]
    return item


def _check_hu(header: Dataset, transformation: Dataset) -> None:
    kind = str(transformation.get("RescaleType") or "")
    if kind not in HU_TYPES or "ModalityLUTSequence" in header:
        raise UnsuitableSeries(f"instance {header.SOPInstanceUID}: values are {kind}, not HU")


def _rescale(transformation: Dataset) -> tuple[float, float]:
    """Slope and intercept (PS3.3 C.8.2.1, Type 1); without them the values may be anything."""
    slope, intercept = (
        transformation.get(keyword) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    if not slope or intercept is None or not np.isfinite([slope, intercept]).all():
        raise ValueError(f"Rescale Slope {slope} and Intercept {intercept} give no attenuation")
    return float(slope), float(intercept)


def _vector(values: Sequence[float], count: int) -> Vector:
    vector = np.array([float(value) for value in values])
    if len(vector) != count or not np.isfinite(vector).all():
        raise ValueError(f"position or orientation {vector.tolist()} is not {count} numbers")
    return vector


def _alike(planes: Sequence[Plane]) -> tuple[list[Plane], list[str]]:
    """The largest group of one shape, orientation and pixel spacing; remarks on the others."""
    shapes = [_shape(plane) for plane in planes]
    counts: Mapping[tuple[float, ...], int] = Counter(shapes)
    usual = max(counts, key=lambda shape: (counts[shape], shape))
    remarks = [
        f"{plane.name} differs in shape, orientation or pixel spacing"
        for plane, shape in zip(planes, shapes, strict=True)
        if shape != usual
    ]
    return [p for p, shape in zip(planes, shapes, strict=True) if shape == usual], remarks


def _shape(plane: Plane) -> tuple[float, ...]:
    # Scanners write directions with as few as four digits that flicker from slice to slice;
    # adding zero turns -0.0 into 0.0.
    directions = (plane.orientation.round(3) + 0.0).tolist()
    spacing = [round(mm, 4) for mm in plane.pixel_spacing]
    return (int(plane.header.Rows), int(plane.header.Columns), *spacing, *directions)


def _one_per_position(planes: Sequence[Plane]) -> tuple[list[Plane], list[str]]:
    """The first acquisition in every position; remarks on the others.

    A second acquisition or reconstruction in the same stack shows the same anatomy, so the
    lesions are those of the first; the rank keeps slices of one acquisition together.
    """
    kept: list[Plane] = []
    remarks: list[str] = []
    for same in _positions(planes):
        first, *others = sorted(same, key=lambda plane: plane.rank)
        kept.append(first)
        remarks += [
            f"{other.name} lies in the same position as {first.name}"
            for other in others
            if (other.uid, other.frame_number) != (first.uid, first.frame_number)
        ]
    return kept, remarks


def _positions(planes: Sequence[Plane]) -> Iterator[list[Plane]]:
    """Planes by position, ascending along the normal."""
    normal = planes[0].normal
    ordered = sorted(planes, key=lambda plane: (float(plane.position @ normal), plane.rank))
    same: list[Plane] = []
    for plane in ordered:
        if same and (plane.position - same[0].position) @ normal > SAME_POSITION_MM:
            yield same
            same = []
        same.append(plane)
    yield same


def _check_regular(planes: Sequence[Plane]) -> None:
    positions = np.stack([plane.position for plane in planes])  # [slices, 3]
    gaps = np.diff(positions @ planes[0].normal)
    usual = float(np.median(gaps))
    tolerance = max(GAP_TOLERANCE_MM, GAP_TOLERANCE * usual)
    worst = int(np.abs(gaps - usual).argmax())
    if abs(gaps[worst] - usual) > tolerance:
        raise UnsuitableSeries(
            f"slices missing or unevenly spaced: {gaps[worst]:.2f} mm between "
            f"{planes[worst].name} and {planes[worst + 1].name}, elsewhere {usual:.2f} mm"
        )
    grid = positions[0] + np.arange(len(planes))[:, None] * step(planes)
    drift = np.linalg.norm(positions - grid, axis=1)
    # Small errors of one sign add up; half a slice is where a lesion would be misplaced.
    if drift.max() > max(tolerance, usual / 2):
        raise UnsuitableSeries(
            f"slices leave the line of their stack by {drift.max():.2f} mm at "
            f"{planes[int(drift.argmax())].name}"
        )
