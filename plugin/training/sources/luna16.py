"""LUNA16: `annotations.csv` and the DICOM series in `series/` beside it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from plugin.bookmark import LesionType
from plugin.datasets.luna16 import TABLE, UNMEASURED, Sphere, read_luna16
from plugin.datasets.nodules import is_held_out
from plugin.datasets.series_folders import by_series
from plugin.training.samples import Annotation, Scan
from plugin.training.shape import Outline, Told
from plugin.training.sources.types import place
from plugin.volume import read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plugin.training.config import Source
    from plugin.volume import Volume

#: A sphere has a place and a size, and no direction.
_TOLD = Told(axes=False, depth=True, outline=Outline.NOWHERE, lesion_type=place(LesionType.LUNG))


def scans(source: Source) -> list[Scan]:
    """The series with nodules; split by series, as the nodule patches are."""
    spheres: dict[str, list[Sphere]] = defaultdict(list)
    for each in read_luna16(source.folder / TABLE):
        if each.diameter_mm != UNMEASURED:
            spheres[each.series_instance_uid].append(each)
    folders = by_series(source.series or source.folder / "series")
    return [_scan(uid, path, spheres[uid]) for uid, path in folders.items() if uid in spheres]


def _scan(uid: str, folder: Path, spheres: Sequence[Sphere]) -> Scan:
    return Scan(
        name=folder.name,
        volume=lambda: read(folder.iterdir()),
        annotations=lambda volume: [_annotation(each, volume) for each in spheres],
        learned=not is_held_out(uid),
    )


def _annotation(sphere: Sphere, volume: Volume) -> Annotation:
    matrix = volume.affine[:3, :3]
    z, y, x = np.linalg.solve(matrix, np.array(sphere.centre) - volume.affine[:3, 3]).tolist()
    diameter = sphere.diameter_mm
    return Annotation((z, y, x), diameter, diameter, diameter, _TOLD)
