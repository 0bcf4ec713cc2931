"""LIDC-IDRI: the readers' XML, and the DICOM series it belongs to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plugin.bookmark import LesionType
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.lidc_series import consensus_masks, read_series
from plugin.datasets.nodules import is_held_out
from plugin.measure import measure
from plugin.training.samples import Annotation, Scan
from plugin.training.shape import Told
from plugin.training.sources.types import place
from plugin.volume import read

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.datasets.lidc import Reading
    from plugin.datasets.outlines import Inside
    from plugin.training.config import Source
    from plugin.volume import Volume


def scans(source: Source) -> list[Scan]:
    """The series with readers' marks; split by series, as the nodule patches are.

    Raises InvalidDataset.
    """
    if source.series is None:
        raise InvalidDataset(f"{source.folder}: a source of the kind lidc needs `series`")
    return [_scan(each, folder) for each, folder in read_series(source.folder, source.series)]


def _scan(reading: Reading, folder: Path) -> Scan:
    return Scan(
        name=folder.name,
        volume=lambda: read(folder.iterdir()),
        annotations=lambda volume: [
            _annotation(inside, volume) for inside in consensus_masks(reading, volume)
        ],
        learned=not is_held_out(reading.series_instance_uid),
    )


def _annotation(inside: Inside, volume: Volume) -> Annotation:
    measured = measure(inside.inside, inside.offset, volume).diameters
    z, y, x = (np.argwhere(inside.inside).mean(axis=0) + inside.offset).tolist()
    return Annotation(
        centre=(z, y, x),
        long_mm=measured.long_axis_mm,
        short_mm=measured.short_axis_mm,
        depth_mm=len(inside.inside) * volume.spacing[0],
        told=replace(Told(), lesion_type=place(LesionType.LUNG)),
        mask=inside.inside,
        offset=inside.offset,
    )
