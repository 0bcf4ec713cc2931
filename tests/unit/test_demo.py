"""The demo reads its order, and tells found lesions from missed ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deploy.demo import Order, read_order
from deploy.demo_results import Fetched, find, middle, unknown
from plugin.bookmark import Bookmark, LesionType
from plugin.datasets.phantom import Lesion
from plugin.volume import Volume

NOW = datetime(2026, 11, 21, 22, 3, 4, tzinfo=UTC)
#: Slices 2.5 mm and pixels 0.5 mm apart (rows) and 0.25 mm (columns), from (-10, -20, -30).
AFFINE = np.array(
    [[0.0, 0.0, 0.25, -10.0], [0.0, 0.5, 0.0, -20.0], [2.5, 0.0, 0.0, -30.0], [0, 0, 0, 1.0]]
)
VOLUME = Volume(hu=np.zeros((1, 1, 1), np.float32), affine=AFFINE, slices=(), headers=())


@pytest.mark.parametrize(
    ("environment", "series", "keep"),
    [
        ({}, None, False),
        ({"SERIES": "", "KEEP": ""}, None, False),
        ({"SERIES": "a folder", "KEEP": "0"}, Path("a folder"), False),
        ({"KEEP": "1"}, None, True),
    ],
)
def test_the_order_comes_from_the_environment(
    environment: dict[str, str], series: Path | None, keep: bool
) -> None:
    folder = Path("demo-output").resolve() / "20261121-220304"
    assert read_order(environment, NOW) == Order(series, keep, folder)


def test_the_middle_of_a_bookmark_in_the_patient() -> None:
    # slice 4, middle row 12, middle column 24
    assert middle(_bookmark(4, (20.0, 10.0), (28.0, 14.0)), VOLUME).tolist() == [-4, -14, -20]


@pytest.mark.parametrize(
    ("centre", "found"),
    [
        ((-4.0, -14.0, -20.0), 2),
        ((-4.0, -14.0, -15.1), 2),
        ((-4.0, -14.0, -14.9), None),
        ((10.0, 10.0, 10.0), None),
    ],
)
def test_a_lesion_is_found_where_a_bookmark_lies_inside_it(
    centre: tuple[float, float, float], found: int | None
) -> None:
    bookmarks = (
        _bookmark(400, (20.0, 10.0), (28.0, 14.0)),
        _bookmark(4, (20.0, 10.0), (28.0, 14.0)),
    )
    fetched = Fetched("1.2", Path("report-1.dcm"), bookmarks, VOLUME, ())
    lesion = Lesion(centre, (10.0, 6.0, 6.0))
    assert find(lesion, fetched) == found
    assert unknown([lesion], fetched) == (["Lesion 1"] if found else ["Lesion 1", "Lesion 2"])


def _bookmark(index: int, start: tuple[float, float], end: tuple[float, float]) -> Bookmark:
    return Bookmark(
        series_instance_uid="1.2",
        sop_instance_uid="1.2.3",
        frame_number=None,
        slice_index=index,
        long_axis=(start, end),
        short_axis=(start, end),
        long_axis_mm=8.0,
        short_axis_mm=4.0,
        box=(*start, *end),
        slice_range=(index, index),
        lesion_type=LesionType.LUNG,
        score=0.9,
        tracking_uid="1.2.4",
        mean_hu=40.0,
        volume_mm3=100.0,
    )
