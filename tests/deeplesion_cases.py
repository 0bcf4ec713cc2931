"""Rows of DL_info.csv and slices that belong to them, as hypothesis makes them."""

from __future__ import annotations

from decimal import Decimal
from math import dist
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from plugin.datasets.deeplesion import PADDING, Row, Split
from plugin.datasets.deeplesion_folder import IMAGES
from plugin.datasets.deeplesion_images import OFFSET

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Columns and rows of the images.
SIZE = (512, 512)


def row(
    points: tuple[float, ...] = (24.0, 30.0, 34.0, 30.0, 29.0, 27.0, 29.0, 33.0),
    *,
    size: tuple[int, int] = (64, 48),
    slice_range: tuple[int, int] = (3, 7),
    key_slice: int = 4,
    coarse_type: int = 5,
    split: Split = Split.TEST,
    possibly_noisy: bool = False,
    patient: int = 12,
    **others: object,
) -> Row:
    """A row that agrees with itself; axes of 10 and 6 pixels unless told otherwise."""
    columns, rows = points[::2], points[1::2]
    values: dict[str, object] = {
        "file_name": f"{patient:06d}_01_02_{key_slice:03d}.png",
        "patient": patient,
        "study": 1,
        "series": 2,
        "key_slice": key_slice,
        "measurement": points,
        "box": (
            min(columns) - PADDING,
            min(rows) - PADDING,
            max(columns) + PADDING,
            max(rows) + PADDING,
        ),
        "diameters_px": (dist(points[:2], points[2:4]), dist(points[4:6], points[6:])),
        "location": (0.5, 0.25, 0.75),
        "coarse_type": coarse_type,
        "possibly_noisy": possibly_noisy,
        "slice_range": slice_range,
        "spacing": (0.8, 0.7, 2.5),
        "image_size": size,
        "windows": (-175.0, 275.0),
        "gender": "F",
        "age": Decimal("62.0"),
        "split": split,
    }
    return Row(**(values | others))  # type: ignore[arg-type]


_PLACES = st.floats(10, 500, allow_nan=False)
_SHARES = st.floats(0, 1)
_SPACINGS = st.floats(0.1, 10)

#: Any row that agrees with itself.
ROWS = st.builds(
    row,
    st.tuples(*[_PLACES] * 8),
    size=st.just(SIZE),
    patient=st.integers(1, 999999),
    slice_range=st.tuples(st.integers(1, 40), st.integers(60, 1200)),
    key_slice=st.integers(40, 60),
    coarse_type=st.sampled_from((-1, *range(1, 9))),
    split=st.sampled_from(Split),
    possibly_noisy=st.booleans(),
    location=st.none() | st.tuples(*[_SHARES] * 3),
    spacing=st.tuples(*[_SPACINGS] * 3),
    windows=st.sampled_from([(-175.0, 275.0), (-1500.0, 500.0), (-160.0, 240.0, -1024.0, 150.5)]),
    gender=st.sampled_from(("M", "F", "")),
    age=st.none() | st.sampled_from([Decimal("62.0"), Decimal("7"), Decimal("0.5")]),
)


def write_slices(folder: Path, described: Row, hu: NDArray[np.int16]) -> Path:
    """HU [slice, row, column], head first, as the PNG slices of a row; returns `Images_png`."""
    series = folder / IMAGES / described.series_name
    series.mkdir(parents=True)
    for number, image in enumerate(hu, start=described.slice_range[0]):
        stored = (image.astype(np.int32) + OFFSET).astype(np.uint16)
        Image.fromarray(stored).save(series / f"{number:03d}.png")
    return series.parent
