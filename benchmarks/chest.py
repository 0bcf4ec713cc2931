"""A chest of any number of slices, from a real series where there is one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from plugin.datasets import phantom
from plugin.volume import Slice, Volume, read

#: Folder of the series below the one that LESIONMARK_DATA names.
SERIES: Final = Path("series") / "LIDC-IDRI-0001"
#: Distance of rows and columns of the phantom, mm.
PIXEL_MM = 0.7
#: Rows and columns of the phantom.
SIZE = 512


def chest(slices: int, slice_mm: float) -> tuple[Volume, str]:
    """A volume of `slices` slices, `slice_mm` apart, and what it is, for a person.

    A series that is shorter goes on as its mirror image.
    """
    folder = _data() / SERIES
    if not folder.is_dir():
        return _phantom(slices, slice_mm), "phantom"
    return resliced(read(folder.iterdir()), slices, slice_mm), SERIES.name


def _data() -> Path:
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("LESIONMARK_DATA", beside))


def _phantom(slices: int, slice_mm: float) -> Volume:
    spec = phantom.Spec(shape=(slices, SIZE, SIZE), spacing=(slice_mm, PIXEL_MM, PIXEL_MM))
    return Volume(phantom.attenuation(spec), phantom.affine(spec), _names(slices), ())


def resliced(volume: Volume, slices: int, slice_mm: float) -> Volume:
    """Linear interpolation between slices, there and back again as often as needed."""
    last = len(volume.hu) - 1
    step = slice_mm / volume.spacing[0]
    position = last - np.abs(np.arange(slices) * step % (2 * last) - last)
    hu = np.empty((slices, *volume.hu.shape[1:]), np.float32)
    for index, at in enumerate(position):
        low = min(int(at), last - 1)
        hu[index] = volume.hu[low] + (at - low) * (volume.hu[low + 1] - volume.hu[low])
    affine = volume.affine.copy()
    affine[:3, 0] *= step
    return replace(volume, hu=hu, affine=affine, slices=_names(slices))


def _names(slices: int) -> tuple[Slice, ...]:
    return tuple(Slice(str(index), None) for index in range(slices))
