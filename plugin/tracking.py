"""Which lesion is which: tracking UIDs that follow a lesion from one analysis to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plugin.uids import derive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume


def new_tracking_uid(volume: Volume, model: str, ordinal: int) -> str:
    """The tracking UID of a lesion not seen before, the same for the same slices and model.

    `ordinal` counts the lesions of one analysis.
    """
    slices = (f"{s.sop_instance_uid}/{s.frame_number or 1}" for s in volume.slices)
    return derive("lesion", volume.series_instance_uid, *slices, model, str(ordinal))


def carry_over(
    bookmarks: Sequence[Bookmark], earlier: Sequence[Bookmark], volume: Volume
) -> tuple[Bookmark, ...]:
    """The bookmarks, those of lesions that were marked earlier under their earlier tracking UID.

    Both belong to states of one series; slices may have come in between. Two bookmarks are the
    same lesion when their centres in the patient are less apart than the smaller one is wide;
    the nearest are paired first and each only once.
    """
    found = _pairs(bookmarks, earlier, volume)
    return tuple(
        replace(bookmark, tracking_uid=earlier[found[i]].tracking_uid) if i in found else bookmark
        for i, bookmark in enumerate(bookmarks)
    )


def _pairs(
    bookmarks: Sequence[Bookmark], earlier: Sequence[Bookmark], volume: Volume
) -> dict[int, int]:
    """Index of a bookmark -> index of the earlier one that is the same lesion."""
    candidates = [
        (distance, i, j)
        for i, bookmark in enumerate(bookmarks)
        for j, former in enumerate(earlier)
        if (distance := _distance(bookmark, former, volume))
        < min(bookmark.long_axis_mm, former.long_axis_mm)
    ]
    pairs: dict[int, int] = {}
    for _, i, j in sorted(candidates):
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


def _distance(bookmark: Bookmark, former: Bookmark, volume: Volume) -> float:
    """Distance of two centres, mm; infinite when a key slice is no longer in the volume."""
    one, other = _centre(bookmark, volume), _centre(former, volume)
    if one is None or other is None:
        return float("inf")
    return float(np.linalg.norm(one - other))


def _centre(bookmark: Bookmark, volume: Volume) -> NDArray[np.float64] | None:
    """Middle of the box in the key slice, mm in LPS, [3].

    The key slice is looked up by its instance: its index changes when slices are added.
    """
    key = (bookmark.sop_instance_uid, bookmark.frame_number)
    places = [(s.sop_instance_uid, s.frame_number) for s in volume.slices]
    if key not in places:
        return None
    column0, row0, column1, row1 = bookmark.box
    middle = [float(places.index(key)), (row0 + row1) / 2, (column0 + column1) / 2]
    return volume.to_patient(np.array(middle))
