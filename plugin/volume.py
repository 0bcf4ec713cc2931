"""CT series -> volume in HU with its affine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from highdicom.spatial import create_affine_matrix_from_attributes
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEGLSLossless, JPEGLSNearLossless

from plugin.errors import UnsuitableSeries
from plugin.planes import (
    MAXIMUM_VOXELS,
    Plane,
    check_one_source,
    planes_of,
    reason_to_set_aside,
    stack,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Attenuation of pixels outside the field of view; below it nothing is measured, HU.
LOWEST_HU = -1024.0
#: A padding value that falls in this range is a mistake: it would punch holes in tissue, HU.
TISSUE_HU = (-900.0, 2000.0)
#: The fastest of several installed decoders, four times the one that pydicom tries first.
DECODING_PLUGIN = {JPEGLSLossless: "pyjpegls", JPEGLSNearLossless: "pyjpegls"}
#: What pydicom and its decoders raise on pixel data that they cannot read.
DECODING_ERRORS = (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Slice:
    """Where one slice of the volume came from."""

    #: SOP Instance UID of the instance that holds it.
    sop_instance_uid: str
    #: Frame in that instance, from 1; None for single-frame images.
    frame_number: int | None


@dataclass(frozen=True)
class Volume:
    """One CT series as numbers, together with where they lie in the patient."""

    #: Attenuation in HU, float32, [slice, row, column]; slices ascend along the normal.
    hu: NDArray[np.float32]
    #: Maps (slice, row, column, 1) indices to mm in LPS patient coordinates, float64 [4, 4].
    affine: NDArray[np.float64]
    #: One for each slice of `hu`.
    slices: tuple[Slice, ...]
    #: Headers (no pixel data) of every instance that was used; evidence for the report.
    headers: tuple[Dataset, ...]
    #: One sentence for each instance that was left out, and why.
    remarks: tuple[str, ...] = ()
    #: SOP Instance UIDs of those.
    left_out: frozenset[str] = frozenset()

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance in mm between neighbouring (slices along the normal, rows, columns)."""
        shift, down, right = self.affine[:3, :3].T
        rows, columns = float(np.linalg.norm(down)), float(np.linalg.norm(right))
        normal = np.cross(right / columns, down / rows)
        return abs(float(shift @ normal)), rows, columns

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID of the images."""
        return str(self.headers[0].SeriesInstanceUID)

    def to_patient(self, indices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Indices [..., (slice, row, column)] -> mm in LPS patient coordinates [..., 3]."""
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])


def accepts(paths: Iterable[Path]) -> bool:
    """Whether any instance is a CT image other than a localizer; reads headers only."""
    return any(reason_to_set_aside(header) is None for _, header in _headers(paths, []))


def read(paths: Iterable[Path]) -> Volume:
    """Read one series, its files in any order.

    Raises UnsuitableSeries when the instances are not one regular stack of CT slices.
    """
    remarks: list[str] = []
    seen: set[str] = set()
    suitable = list(_suitable(paths, remarks, seen))
    if not suitable:
        raise UnsuitableSeries("; ".join(["no CT image", *sorted(remarks)]))
    check_one_source([header for _, header in suitable])
    planes, left_out = stack([p for path, header in suitable for p in planes_of(path, header)])
    headers = {plane.uid: plane.header for plane in planes}
    return Volume(
        hu=attenuation(planes),
        affine=affine(planes),
        slices=tuple(Slice(plane.uid, plane.frame_number) for plane in planes),
        headers=tuple(headers.values()),
        remarks=tuple(sorted(remarks + left_out)),
        left_out=frozenset(seen - headers.keys()),
    )


def decoded(path: Path) -> NDArray[np.float32]:
    """A single-frame image in HU, [row, column], by the way on which a series is read.

    Raises UnsuitableSeries when no installed decoder can read it.
    """
    return np.asarray(attenuation(planes_of(path, dcmread(path, stop_before_pixels=True)))[0])


def affine(planes: Sequence[Plane]) -> NDArray[np.float64]:
    """(slice, row, column, 1) -> mm in LPS, [4, 4], for a stack that may be sheared by a tilt."""
    matrix = np.array(
        create_affine_matrix_from_attributes(
            image_position=planes[0].position.tolist(),
            image_orientation=planes[0].orientation.tolist(),
            pixel_spacing=planes[0].pixel_spacing,
            index_convention="DR",
            slices_first=True,
        )
    )
    matrix[:3, 0] = step(planes)
    return matrix


def _headers(paths: Iterable[Path], remarks: list[str]) -> Iterator[tuple[Path, Dataset]]:
    for path in paths:
        try:
            yield path, dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            remarks.append(f"{path.name} is not a DICOM file")


def _suitable(
    paths: Iterable[Path], remarks: list[str], seen: set[str]
) -> Iterator[tuple[Path, Dataset]]:
    """Headers of the CT images, each instance once; remarks on the others, all UIDs in `seen`."""
    for path, header in _headers(sorted(paths), remarks):
        uid = str(header.get("SOPInstanceUID", path.name))
        reason = reason_to_set_aside(header)
        if reason is not None:
            remarks.append(f"instance {uid} {reason}")
        elif uid not in seen:
            yield path, header
        seen.add(uid)


def attenuation(planes: Sequence[Plane]) -> NDArray[np.float32]:
    """Decode a stack into HU, [slice, row, column], one slice at a time."""
    header = planes[0].header
    shape = (len(planes), int(header.Rows), int(header.Columns))
    if np.prod(shape, dtype=np.int64) > MAXIMUM_VOXELS:
        raise UnsuitableSeries(f"{shape[0]} slices of {shape[1]} x {shape[2]} exceed the memory")
    hu = np.empty(shape, np.float32)
    by_instance = sorted(enumerate(planes), key=lambda item: (item[1].uid, item[1].rank))
    for _, group in groupby(by_instance, key=lambda item: item[1].uid):
        indices, same = zip(*group, strict=True)
        for index, plane, stored in zip(indices, same, _frames(same), strict=True):
            hu[index] = to_hu(_used_bits(stored, plane.header), plane)
    return hu


def _frames(planes: Sequence[Plane]) -> Iterator[NDArray[np.integer[Any]]]:
    """Stored values of some frames of one instance, [row, column] each."""
    path, header = planes[0].path, planes[0].header
    syntax = UID(header.file_meta.TransferSyntaxUID)
    # A deflated file has no pixel data to seek to: it must be read as a whole.
    source = dcmread(path) if syntax == DeflatedExplicitVRLittleEndian else path
    frames = [(plane.frame_number or 1) - 1 for plane in planes]
    try:
        yield from iter_pixels(
            source, indices=frames, raw=True, decoding_plugin=DECODING_PLUGIN.get(syntax, "")
        )
    except DECODING_ERRORS as error:
        raise UnsuitableSeries(
            f"pixels of {planes[0].name} cannot be decoded ({syntax.name}): {error}"
        ) from error


def _used_bits(stored: NDArray[np.integer[Any]], header: Dataset) -> NDArray[np.integer[Any]]:
    """Stored values with their unused high bits set from the sign (PS3.5 8.1.1).

    Some writers leave old overlays or nothing there, and JPEG-LS and RLE encoders keep them.
    """
    unused = np.array(stored.dtype.itemsize * 8 - int(header.BitsStored), stored.dtype)
    return np.asarray((stored << unused) >> unused)


def to_hu(stored: NDArray[np.integer[Any]], plane: Plane) -> NDArray[np.float32]:
    """Stored values -> HU, [row, column], with air where nothing was measured."""
    hu: NDArray[np.float32] = stored.astype(np.float32) * np.float32(plane.slope) + np.float32(
        plane.intercept
    )
    padding = _padding(plane)
    if padding is not None:
        hu[(stored >= padding[0]) & (stored <= padding[1])] = LOWEST_HU
    hu[hu < LOWEST_HU] = LOWEST_HU
    return hu


def _padding(plane: Plane) -> tuple[int, int] | None:
    """Lowest and highest stored value that mean "no pixel" (PS3.3 C.7.5.1.1.2)."""
    first = plane.header.get("PixelPaddingValue")
    if first is None:
        return None
    last = plane.header.get("PixelPaddingRangeLimit", first)
    low, high = sorted(_signed(int(value), plane.header) for value in (first, last))
    if any(TISSUE_HU[0] < v * plane.slope + plane.intercept < TISSUE_HU[1] for v in (low, high)):
        return None
    return low, high


def _signed(value: int, header: Dataset) -> int:
    """A padding value in the signedness of the pixels: some writers store it unsigned."""
    if header.PixelRepresentation == 1 and value >= 2 ** (header.BitsAllocated - 1):
        return int(value - 2**header.BitsAllocated)
    return value
