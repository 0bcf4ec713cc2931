"""Nodule patches: small cubes of lung around one nodule, each with the nodule's mask.

The folder holds `nodules.csv` (name, depth, rows, columns, diameter_mm), one JPEG-LS image
`NAME.jls` a patch (depth * rows by columns, value = HU + 1024) and `masks.npz` (packed bits by
name). A name is the Series Instance UID of its scan, an underscore and a number.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import jpeg_ls
import numpy as np

from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: The table of the patches, and their masks.
TABLE, MASKS = "nodules.csv", "masks.npz"
#: Stored value of 0 HU.
_OFFSET = 1024
#: Millimetres a voxel: (z, y, x).
SPACING = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Patch:
    """One nodule in its surroundings."""

    #: Series Instance UID, an underscore, a number.
    name: str
    #: Attenuation in HU, int16, [z, y, x] at `SPACING`.
    hu: NDArray[np.int16]
    #: Voxels of the nodule, [z, y, x].
    mask: NDArray[np.bool_]

    @property
    def series_instance_uid(self) -> str:
        """The scan it was cut from."""
        return self.name.rsplit("_", 1)[0]


def read_patches(folder: Path) -> Iterator[Patch]:
    """The patches of a folder, in the order of its CSV.

    Raises InvalidDataset naming the file or the patch.
    """
    for path in (folder / TABLE, folder / MASKS):
        if not path.is_file():
            raise InvalidDataset(f"{path}: there is no such file")
    with (folder / TABLE).open(newline="") as table, np.load(folder / MASKS) as masks:
        for number, row in enumerate(csv.DictReader(table), start=1):
            try:
                shape = int(row["depth"]), int(row["rows"]), int(row["columns"])
                yield _read_patch(folder, row["name"], shape, masks[row["name"]])
            except (KeyError, OSError, TypeError, ValueError) as error:
                raise InvalidDataset(f"{folder / TABLE}, row {number}: {error}") from error


def is_held_out(series_instance_uid: str) -> bool:
    """Whether a scan is for validation: a fifth of them, chosen by hash and the same for ever."""
    return sha256(series_instance_uid.encode()).digest()[0] % 5 == 0


def _read_patch(
    folder: Path, name: str, shape: tuple[int, int, int], packed: NDArray[np.uint8]
) -> Patch:
    stored = jpeg_ls.decode(np.frombuffer((folder / f"{name}.jls").read_bytes(), np.uint8))
    hu = stored.reshape(shape).astype(np.int32) - _OFFSET
    mask = np.unpackbits(packed)[: hu.size].reshape(shape).astype(np.bool_)
    return Patch(name, hu.clip(-2048, 4096).astype(np.int16), mask)
