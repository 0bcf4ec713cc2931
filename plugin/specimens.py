"""One object of each kind that the plugin for CT makes: what is said of them is read from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np

from plugin import Facts, Kind, Series
from plugin.bookmark import LesionType
from plugin.datasets.ct_image import Identity, ct_images
from plugin.detector import Detection

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin import Plugin, Product
    from plugin.detector import Detector
    from plugin.volume import Volume

#: A fixed moment, so that a specimen is always the same.
_NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
#: Slices, rows and columns of the images; they show nothing.
_SHAPE: Final = (6, 64, 64)
_IDENTITY: Final = Identity("TEST^SPECIMEN", "LESIONMARK-TEST", "specimen", "Specimen, no patient")


@dataclass(frozen=True)
class OneOfEach:
    """A detector that sees a lesion of each type, one below the other."""

    version: str = "specimen 1"

    def facts(self) -> Facts:
        """Nothing runs."""
        return Facts(self.version, "", "cpu", "none")

    def warm_up(self) -> None:
        """Nothing."""

    def detect(self, volume: Volume, lowest: float = 0.0) -> list[Detection]:
        """A block of 2 x 5 x 8 voxels for each lesion type."""
        del volume, lowest
        block = np.ones((2, 5, 8), np.bool_)
        return [
            Detection(block, (2, 1 + 7 * row, 10), 0.9 - row / 100, lesion_type)
            for row, lesion_type in enumerate(LesionType)
        ]


def products(build: Callable[[Detector, float, frozenset[Kind]], Plugin]) -> tuple[Product, ...]:
    """Every kind of object, as the plugin makes them that `build` builds around a detector."""
    affine = np.diag([2.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]]
    hu = np.full(_SHAPE, 40.0, np.float32)
    with TemporaryDirectory() as scratch:
        paths = []
        for dataset in ct_images(hu, affine, _IDENTITY):
            paths.append(Path(scratch) / f"{dataset.InstanceNumber}.dcm")
            dataset.save_as(paths[-1], enforce_file_format=True)
        series = Series(str(dataset.SeriesInstanceUID), tuple(paths))
        return build(OneOfEach(), 0.0, frozenset(Kind)).analyse(series, None, _NOW).objects
