"""DeepLesion's slices (16-bit PNG, HU + 32768) -> volumes in HU, and NIfTI as NIH writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydicom import Dataset

from plugin.datasets.deeplesion import instance_uid, series_uid
from plugin.datasets.errors import InvalidDataset
from plugin.volume import LOWEST_HU, Slice, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plugin.datasets.deeplesion import Row

#: Stored value of 0 HU.
OFFSET = 32768


def read_volume(images: Path, row: Row) -> Volume:
    """The slices around a bookmark, its `slice_range`, in HU; padding is air.

    Slices ascend from feet to head. The origin is the first pixel of the first slice given, for the
    place of the patient in the scanner is not known. Raises InvalidDataset naming the file.
    """
    first, last = row.slice_range
    numbers = range(last, first - 1, -1)
    stored = _read_slices(images, row, numbers)
    slices = tuple(Slice(instance_uid(row.series_name, number), None) for number in numbers)
    return Volume(
        hu=np.maximum(stored, LOWEST_HU).astype(np.float32),
        affine=affine(row),
        slices=slices,
        headers=(_header(row.series_name),),
    )


def affine(row: Row) -> NDArray[np.float64]:
    """(slice, row, column, 1) of a volume -> mm in LPS patient coordinates, [4, 4]."""
    column_mm, row_mm, slice_mm = row.spacing
    first, last = row.slice_range
    matrix = np.zeros((4, 4))
    matrix[[2, 1, 0], [0, 1, 2]] = slice_mm, row_mm, column_mm
    matrix[2, 3] = -(last - first) * slice_mm
    matrix[3, 3] = 1.0
    return matrix


def write_nifti(images: Path, row: Row, folder: Path) -> Path:
    """Write the slices around a bookmark as NIfTI; returns its path.

    As NIH's script does: int16 HU with padding as it is, axes (row, column, slice) with slices from
    head to feet, and an affine to RAS. Needs nibabel (the extra `training`). Raises InvalidDataset.
    """
    import nibabel

    first, last = row.slice_range
    stored = _read_slices(images, row, range(first, last + 1))
    column_mm, row_mm, slice_mm = row.spacing
    to_ras = np.zeros((4, 4))
    to_ras[[1, 0, 2], [0, 1, 2]] = -row_mm, -column_mm, -slice_mm
    to_ras[3, 3] = 1.0
    path = folder / f"{row.volume_name}.nii.gz"
    image = nibabel.Nifti1Image(stored.transpose(1, 2, 0), to_ras)  # type: ignore[no-untyped-call]
    nibabel.save(image, path)
    return path


def _read_slices(images: Path, row: Row, numbers: range) -> NDArray[np.int16]:
    """HU, [slice, row, column], in the order of the numbers."""
    folder = images / row.series_name
    columns, rows = row.image_size
    stack = np.empty((len(numbers), rows, columns), np.int16)
    for index, number in enumerate(numbers):
        path = folder / f"{number:03d}.png"
        stored = _read_png(path)
        if stored.shape != (rows, columns):
            raise InvalidDataset(
                f"{path}: has {stored.shape[1]} x {stored.shape[0]} pixels, "
                f"{row.file_name} says {columns} x {rows}"
            )
        stack[index] = stored.astype(np.int32) - OFFSET
    return stack


def _read_png(path: Path) -> NDArray[np.uint16]:
    """Stored values, [row, column]."""
    try:
        with Image.open(path) as image:
            stored = np.asarray(image)
    except (OSError, UnidentifiedImageError) as error:
        raise InvalidDataset(f"{path}: {error}") from error
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise InvalidDataset(f"{path}: is not a grey PNG of 16 bits")
    return stored


def _header(series_name: str) -> Dataset:
    """All that is known of the instances."""
    header = Dataset()
    header.SeriesInstanceUID = series_uid(series_name)
    return header
