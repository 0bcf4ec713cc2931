"""DeepLesion as it comes from NIH, and what `lesionmark harvest` writes in its form."""

from __future__ import annotations

from collections import defaultdict
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

    Bookmarks that the authors doubt, and those of overlapping volumes of the same series, are not
    learned there, nor is their place as one without a lesion. Raises InvalidDataset.
    """
    images = find_images(source.folder)
    if images is None:
        raise InvalidDataset(f"{source.folder}: there is no Images_png")
    present = {path.name for path in images.iterdir()}
    table = find_table(images)
    every = [r for r in read_table(table) if r.series_name in present]
    rows = [row for row in every if not row.possibly_noisy]
    if not rows:
        raise InvalidDataset(f"{images}: holds no series with bookmarks of {table.name}")
    outline = Outline.KEY_SLICE if source.outline == "ellipse" else Outline.NOWHERE
    volumes = groupby(sorted(rows, key=lambda row: row.volume_name), lambda row: row.volume_name)
    series: dict[str, list[Row]] = defaultdict(list)
    for row in every:
        series[row.series_name].append(row)
    groups = ((name, tuple(group)) for name, group in volumes)
    return [_scan(images, name, g, series[g[0].series_name], outline) for name, g in groups]


def _scan(
    images: Path, name: str, rows: Sequence[Row], series: Sequence[Row], outline: Outline
) -> Scan:
    first, last = rows[0].slice_range
    others = [row for row in series if row not in rows and first <= row.key_slice <= last]
    return Scan(
        name=name,
        volume=lambda: read_volume(images, rows[0]),
        annotations=lambda _: [_annotation(row, rows[0], outline) for row in rows],
        learned=rows[0].split is Split.TRAIN,
        others=lambda _: [_annotation(row, rows[0], outline) for row in others],
    )


def _annotation(row: Row, volume: Row, outline: Outline) -> Annotation:
    """A bookmark in a volume: axes on its key slice, nothing about the slices around."""
    (x0, y0), (x1, y1) = row.long_axis
    long_mm, short_mm = row.axes_mm
    return Annotation(
        centre=(float(volume.slice_index(row.key_slice)), (y0 + y1) / 2, (x0 + x1) / 2),
        long_mm=long_mm,
        short_mm=short_mm,
        depth_mm=None,
        told=Told(axes=True, depth=False, outline=outline, lesion_type=place(row.lesion_type)),
        direction=(0.0, y1 - y0, x1 - x0),
    )
