"""LIDC-IDRI: the readers' XML beside its DICOM series."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.lidc import read_lidc
from plugin.datasets.lidc_nodules import clusters, consensus
from plugin.datasets.outlines import cropped
from plugin.datasets.series_folders import by_series

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.datasets.lidc import Nodule, Outline, Reading
    from plugin.datasets.outlines import Inside
    from plugin.volume import Volume


def read_series(readings: Path, series: Path) -> list[tuple[Reading, Path]]:
    """The XML files below a folder whose series lies in a subfolder of `series`, with it.

    XML of other series, or of other modalities, is passed over. Raises InvalidDataset where no
    series has any.
    """
    folders = by_series(series)
    found = [read_lidc(path) for path in sorted(readings.rglob("*.xml"))]
    matched = [
        (r, folders[r.series_instance_uid]) for r in found if r.series_instance_uid in folders
    ]
    if not matched:
        raise InvalidDataset(f"{readings}: no XML is of a series in {series}")
    return matched


def consensus_masks(reading: Reading, volume: Volume) -> list[Inside]:
    """The nodules of 3 mm or more in which half of the readers agree on some voxel."""
    masks = [consensus(group, volume, reading.readers) for group in nodules(reading, volume)]
    found = [cropped(mask) for mask in masks]
    return [each for each in found if each is not None]


def other_places(reading: Reading, volume: Volume) -> list[tuple[float, float, float]]:
    """Middles (slice, row, column) of what is marked in a volume and is no such nodule."""
    apart = [
        group
        for group in nodules(reading, volume)
        if not consensus(group, volume, reading.readers).any()
    ]
    outlines = [outline for group in apart for nodule in group for outline in nodule.outlines]
    outlines += [outline for each in reading.nodules if each.small for outline in each.outlines]
    outlines += [each.outline for each in reading.others]
    indices = {each.sop_instance_uid: index for index, each in enumerate(volume.slices)}
    return [
        (float(indices[each.sop_instance_uid]), *_middle(each))
        for each in outlines
        if each.sop_instance_uid in indices
    ]


def nodules(reading: Reading, volume: Volume) -> list[tuple[Nodule, ...]]:
    """The nodules of 3 mm or more that reach the volume, those of several readers together."""
    slice_mm, pixel_mm, _ = volume.spacing
    present = {each.sop_instance_uid for each in volume.slices}
    seen = [_within(each, present) for each in reading.nodules if not each.small]
    return clusters([each for each in seen if each.outlines], pixel_mm, slice_mm)


def _middle(outline: Outline) -> tuple[float, float]:
    """Row and column."""
    column, row = outline.points.mean(axis=0).tolist()
    return row, column


def _within(nodule: Nodule, present: set[str]) -> Nodule:
    """A nodule as far as the slices at hand show it."""
    outlines = tuple(each for each in nodule.outlines if each.sop_instance_uid in present)
    return replace(nodule, outlines=outlines)
