from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset

from plugin.bookmark import Bookmark, LesionType
from plugin.tracking import carry_over, new_tracking_uid
from plugin.volume import Slice, Volume


def volume_of(*uids: str) -> Volume:
    header = Dataset()
    header.SeriesInstanceUID = "1.2.3"
    affine = np.array([[0, 0, 0.5, 0], [0, 0.5, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1.0]])
    slices = tuple(Slice(uid, None) for uid in uids)
    return Volume(np.zeros((len(uids), 64, 64), np.float32), affine, slices, (header,))


def bookmark(slice_uid: str, column: float, row: float, uid: str, wide: float = 10) -> Bookmark:
    return Bookmark(
        series_instance_uid="1.2.3",
        sop_instance_uid=slice_uid,
        frame_number=None,
        slice_index=0,
        long_axis=((column - wide, row), (column + wide, row)),
        short_axis=((column, row - wide), (column, row + wide)),
        long_axis_mm=wide,
        short_axis_mm=wide,
        box=(column - wide, row - wide, column + wide, row + wide),
        slice_range=(0, 1),
        lesion_type=LesionType.LUNG,
        score=0.9,
        tracking_uid=uid,
        mean_hu=30.0,
        volume_mm3=500.0,
    )


VOLUME = volume_of("a", "b", "c", "d", "e", "f", "g", "h")


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ([], [], []),
        ([("c", 20, 20, "new")], [], ["new"]),
        ([("c", 20, 20, "new")], [("c", 20, 20, "old")], ["old"]),
        # 2 mm along z and 2 mm in the slice: the same lesion of 10 mm.
        ([("c", 20, 20, "new")], [("d", 24, 20, "old")], ["old"]),
        # 10 mm along z: another one.
        ([("a", 20, 20, "new")], [("f", 20, 20, "old")], ["new"]),
        # A key slice that is no longer in the series says nothing about its place.
        ([("c", 20, 20, "new")], [("gone", 20, 20, "old")], ["new"]),
        # The nearest pair first, each bookmark once.
        (
            [("c", 20, 20, "n1"), ("c", 24, 20, "n2")],
            [("c", 25, 20, "o1")],
            ["n1", "o1"],
        ),
        (
            [("c", 20, 20, "n1"), ("c", 30, 20, "n2")],
            [("c", 31, 20, "o1"), ("c", 23, 20, "o2")],
            ["o2", "o1"],
        ),
    ],
)
def test_the_same_lesion_keeps_its_tracking_uid(
    now: list[tuple[str, float, float, str]],
    before: list[tuple[str, float, float, str]],
    expected: list[str],
) -> None:
    bookmarks = tuple(bookmark(*b) for b in now)

    tracked = carry_over(bookmarks, tuple(bookmark(*b) for b in before), VOLUME)

    assert [b.tracking_uid for b in tracked] == expected
    assert [replace(b, tracking_uid="") for b in tracked] == [
        replace(b, tracking_uid="") for b in bookmarks
    ]


def test_a_small_lesion_is_not_a_large_one_that_lies_around_it() -> None:
    small, large = bookmark("c", 20, 20, "new", wide=3), bookmark("c", 30, 20, "old", wide=30)

    assert carry_over((small,), (large,), VOLUME) == (small,)


def test_new_tracking_uids_name_series_slices_model_and_lesion() -> None:
    uid = new_tracking_uid(VOLUME, "model 1", 0)

    assert uid == new_tracking_uid(VOLUME, "model 1", 0)
    others = {
        new_tracking_uid(VOLUME, "model 1", 1),
        new_tracking_uid(VOLUME, "classical-2", 0),
        new_tracking_uid(volume_of("a", "b"), "model 1", 0),
    }
    assert len(others | {uid}) == 4
