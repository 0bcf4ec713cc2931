"""Cases of DeepLesion: the slices that are given around bookmarks, judged on their key slices."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from plugin.datasets.deeplesion import Row, Split
from plugin.datasets.deeplesion_folder import find_images, find_table
from plugin.datasets.deeplesion_images import read_volume
from plugin.datasets.deeplesion_table import read_table
from plugin.datasets.errors import InvalidDataset
from plugin.evaluation.cases import Case, KeyMark, Truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plugin.volume import Volume


def key_slices(folder: Path, *, everything: bool = False) -> list[Case]:
    """The volumes at hand that hold bookmarks of the test split, or of all splits.

    As in the papers, bookmarks that the authors doubt are left out. Raises InvalidDataset.
    """
    images = find_images(folder)
    if images is None:
        raise InvalidDataset(f"{folder}: there is no Images_png")
    table = find_table(images)
    rows = [row for row in read_table(table) if not row.possibly_noisy]
    present = {path.name for path in images.iterdir()}
    asked = sorted(
        (r for r in rows if r.series_name in present and (everything or r.split is Split.TEST)),
        key=lambda row: row.volume_name,
    )
    if not asked:
        raise InvalidDataset(f"{images}: holds no series with bookmarks of {table.name} to judge")
    volumes = groupby(asked, key=lambda row: row.volume_name)
    return [_case(images, name, tuple(group)) for name, group in volumes]


def _case(images: Path, name: str, rows: Sequence[Row]) -> Case:
    return Case(
        name=name,
        unit=f"patient {rows[0].patient}",
        volume=lambda: read_volume(images, rows[0]),
        truths=lambda volume: tuple(_truth(row, volume) for row in rows),
    )


def _truth(row: Row, volume: Volume) -> Truth:
    index = row.slice_index(row.key_slice)
    (x0, y0), (x1, y1) = row.long_axis
    middle = np.array([index, (y0 + y1) / 2, (x0 + x1) / 2])
    return Truth(
        centre=volume.to_patient(middle),
        diameter_mm=row.axes_mm[0],
        axes_mm=row.axes_mm,
        lesion_type=row.lesion_type or "not given",
        key=KeyMark(row.file_name, index, row.drawn_box),
    )
