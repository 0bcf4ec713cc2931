"""DeepLesion as it comes from NIH, and what `lesionmark harvest` writes in its form."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from plugin.datasets.deeplesion import Split
from plugin.datasets.deeplesion_folder import find_images, find_table
from plugin.datasets.deeplesion_images import read_volume
from plugin.datasets.deeplesion_table import read_table
from plugin.datasets.errors import InvalidDataset
from plugin.training.samples import Annotation, Scan
from plugin.training.shape import Outline, Told
from plugin.training.sources.types import place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plugin.datasets.deeplesion import Row
    from plugin.training.config import Source


def scans(source: Source) -> list[Scan]:
    """The volumes at hand, each with all of its bookmarks; learned are those of the first split.

    Bookmarks that the authors doubt are left out. Raises InvalidDataset.
    """
    images = find_images(source.folder)
    if images is None:
        raise InvalidDataset(f"{source.folder}: there is no Images_png")
    present = {path.name for path in images.iterdir()}
    table = find_table(images)
    rows = [r for r in read_table(table) if r.series_name in present and not r.possibly_noisy]
    if not rows:
        raise InvalidDataset(f"{images}: holds no series with bookmarks of {table.name}")
    outline = Outline.KEY_SLICE if source.outline == "ellipse" else Outline.NOWHERE
    volumes = groupby(sorted(rows, key=lambda row: row.volume_name), lambda row: row.volume_name)
    return [_scan(images, name, tuple(group), outline) for name, group in volumes]


def _scan(images: Path, name: str, rows: Sequence[Row], outline: Outline) -> Scan:
    return Scan(
        name=name,
        volume=lambda: read_volume(images, rows[0]),
        annotations=lambda _: [_annotation(row, outline) for row in rows],
        learned=rows[0].split is Split.TRAIN,
    )


def _annotation(row: Row, outline: Outline) -> Annotation:
    """A bookmark: axes on its key slice, nothing about the slices around."""
    (x0, y0), (x1, y1) = row.long_axis
    long_mm, short_mm = row.axes_mm
    return Annotation(
        centre=(float(row.slice_index(row.key_slice)), (y0 + y1) / 2, (x0 + x1) / 2),
        long_mm=long_mm,
        short_mm=short_mm,
        depth_mm=None,
        told=Told(axes=True, depth=False, outline=outline, lesion_type=place(row.lesion_type)),
        direction=(0.0, y1 - y0, x1 - x0),
    )
