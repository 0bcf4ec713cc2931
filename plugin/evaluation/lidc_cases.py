"""Cases of LIDC-IDRI: DICOM series in `series/`, and the readers' XML in `lidc/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plugin.bookmark import LesionType
from plugin.datasets.lidc_series import consensus_masks, other_places, read_series
from plugin.evaluation.cases import Case, Truth, masked_truth
from plugin.evaluation.luna16_cases import ASSUMED_MM
from plugin.volume import read

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.datasets.lidc import Reading
    from plugin.volume import Volume

#: Folder of the readers' XML, at any depth.
READINGS = "lidc"


def read_by_all(folder: Path) -> list[Case]:
    """The series that readers marked, with the nodules of 3 mm or more that half of them saw.

    What fewer saw, smaller nodules and other findings are neither lesions nor false positives.
    Raises InvalidDataset.
    """
    found = read_series(folder / READINGS, folder / "series")
    return [_case(reading, series) for reading, series in found]


def _case(reading: Reading, series: Path) -> Case:
    def truths(volume: Volume) -> tuple[Truth, ...]:
        return tuple(
            masked_truth(each.inside, volume, LesionType.LUNG, each.offset)
            for each in consensus_masks(reading, volume)
        )

    def irrelevant(volume: Volume) -> tuple[Truth, ...]:
        places = other_places(reading, volume)
        return tuple(
            Truth(volume.to_patient(np.array(place)), ASSUMED_MM, None, LesionType.LUNG)
            for place in places
        )

    return Case(
        name=series.name,
        unit=series.name,
        volume=lambda: read(series.iterdir()),
        truths=truths,
        irrelevant=irrelevant,
    )
