"""Cases of LUNA16: DICOM series in `series/`, and the challenge's tables beside it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from plugin.bookmark import LesionType
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.luna16 import EXCLUDED, TABLE, UNMEASURED, Sphere, read_luna16
from plugin.datasets.series_folders import by_series
from plugin.evaluation.cases import Case, Truth
from plugin.volume import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

#: Diameter that the challenge gives to marks whose size nobody measured, mm.
ASSUMED_MM = 10.0


def annotated_series(folder: Path) -> list[Case]:
    """The series of a folder, those without nodules too. Raises InvalidDataset."""
    nodules = _by_series(read_luna16(folder / TABLE))
    excluded = folder / EXCLUDED
    irrelevant = _by_series(read_luna16(excluded) if excluded.is_file() else ())
    series = by_series(folder / "series")
    if not any(uid in nodules for uid in series):
        raise InvalidDataset(f"{folder / TABLE}: has no nodule of the series in {folder}/series")
    return [
        _case(path, nodules.get(uid, ()), irrelevant.get(uid, ())) for uid, path in series.items()
    ]


def _case(folder: Path, nodules: Sequence[Sphere], irrelevant: Sequence[Sphere]) -> Case:
    return Case(
        name=folder.name,
        unit=folder.name,
        volume=lambda: read(folder.iterdir()),
        truths=lambda _: tuple(_truth(nodule) for nodule in nodules),
        irrelevant=lambda _: tuple(_truth(mark) for mark in irrelevant),
    )


def _truth(sphere: Sphere) -> Truth:
    diameter = ASSUMED_MM if sphere.diameter_mm == UNMEASURED else sphere.diameter_mm
    return Truth(np.array(sphere.centre), diameter, None, LesionType.LUNG)


def _by_series(spheres: Iterable[Sphere]) -> Mapping[str, list[Sphere]]:
    groups: dict[str, list[Sphere]] = defaultdict(list)
    for each in spheres:
        groups[each.series_instance_uid].append(each)
    return groups
