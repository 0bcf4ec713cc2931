"""Samples packed small on disk, and tiles made from them when they are asked for.

A pack is a folder: `samples.bin` holds one JPEG-LS image a sample (lossless, depth * rows by
columns, value = HU + 1024) and, where there is a mask, its packed bits after it; `samples.json`
says where each begins and what is known of it. A run reads it lesion by lesion, so that a data set
larger than the memory can be trained on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import jpeg_ls
import numpy as np

from plugin.datasets.errors import InvalidDataset
from plugin.training.samples import Sample
from plugin.training.shape import Outline, Shape, Told
from plugin.training.tiles import Tile, draw_variation, make_tile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

#: Files of a pack.
INDEX, CONTENT = "samples.json", "samples.bin"
#: Stored value of 0 HU, and the highest stored value.
_OFFSET, _HIGHEST = 1024, 65535
#: Versions of one sample; each is made anew from its number, none is kept.
_VERSIONS = 1000
#: Versions that are tried where nothing is left of a lesion.
_TRIES = 20


@dataclass(frozen=True)
class Entry:
    """One sample of a pack, without its voxels."""

    #: Where it comes from.
    name: str
    #: First byte, length of the image, length of the mask (0 for none).
    place: tuple[int, int, int]
    #: Voxels (z, y, x).
    shape: tuple[int, int, int]
    #: Distance of voxels, mm (z, y, x).
    spacing: tuple[float, float, float]
    #: See Sample.
    lesion: Shape
    neighbours: tuple[Shape, ...]
    unmarked: float


@dataclass(frozen=True)
class Pack:
    """A folder of packed samples."""

    #: Where it is.
    folder: Path
    #: Its samples.
    entries: tuple[Entry, ...]

    def sample(self, number: int) -> Sample:
        """One sample with its voxels."""
        entry = self.entries[number]
        start, length, bits = entry.place
        with (self.folder / CONTENT).open("rb") as content:
            content.seek(start)
            image, packed = content.read(length), content.read(bits)
        return Sample(
            name=entry.name,
            hu=_decoded(image, entry.shape),
            spacing=entry.spacing,
            lesion=entry.lesion,
            mask=_unpacked(packed, entry.shape) if bits else None,
            neighbours=entry.neighbours,
            unmarked=entry.unmarked,
        )

    def readers(self) -> list[Callable[[], Sample]]:
        """What reads each of its samples."""
        return [partial(self.sample, number) for number in range(len(self.entries))]


class Versions(Sequence[Tile]):
    """The random versions of one packed sample: the same number gives the same tile."""

    def __init__(self, pack: Pack, number: int, magnification: float, seed: int) -> None:
        self._pack, self._number = pack, number
        self._magnification, self._seed = magnification, seed

    def __len__(self) -> int:
        return _VERSIONS

    def __getitem__(self, version: Any) -> Any:
        """The tile of a version. Raises InvalidDataset where a lesion vanishes in all of them."""
        sample = self._pack.sample(self._number)
        for attempt in range(_TRIES):
            rng = np.random.default_rng((self._seed, self._number, int(version), attempt))
            tile = make_tile(sample, draw_variation(rng, self._magnification))
            if tile is not None:
                return tile
        raise InvalidDataset(f"{self._pack.folder}: nothing is left of {sample.name}")


def versions(pack: Pack, magnification: float, seed: int, from_mm: float) -> list[Versions]:
    """Versions of each sample of a pack whose long axis is at least `from_mm`."""
    return [
        Versions(pack, number, magnification, seed)
        for number, entry in enumerate(pack.entries)
        if entry.lesion.long_mm >= from_mm
    ]


def write_pack(folder: Path, samples: Iterable[Sample]) -> Pack:
    """Write a pack; an interruption leaves none. Samples are not held in memory."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with (partial / CONTENT).open("wb") as content:
        entries = [_append(content, sample) for sample in samples]
    index = json.dumps([_to_record(entry) for entry in entries])
    (partial / INDEX).write_text(index + "\n", encoding="utf-8")
    partial.rename(folder)
    return Pack(folder, tuple(entries))


def read_pack(folder: Path) -> Pack:
    """Read a pack. Raises InvalidDataset where it is not one."""
    path = folder / INDEX
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        return Pack(folder, tuple(_from_record(record) for record in records))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidDataset(f"{path}: {error}") from error


def _append(content: Any, sample: Sample) -> Entry:
    """Write the voxels of a sample at the end of a file."""
    image, mask = _encoded(sample.hu), b"" if sample.mask is None else _packed(sample.mask)
    place = content.tell(), len(image), len(mask)
    content.write(image + mask)
    z, y, x = sample.hu.shape
    return Entry(
        name=sample.name,
        place=place,
        shape=(z, y, x),
        spacing=sample.spacing,
        lesion=sample.lesion,
        neighbours=sample.neighbours,
        unmarked=sample.unmarked,
    )


def _encoded(hu: NDArray[np.int16]) -> bytes:
    stored = (hu.astype(np.int32) + _OFFSET).clip(0, _HIGHEST).astype(np.uint16)
    return bytes(jpeg_ls.encode(stored.reshape(-1, hu.shape[2])).tobytes())


def _decoded(image: bytes, shape: tuple[int, int, int]) -> NDArray[np.int16]:
    stored = jpeg_ls.decode(np.frombuffer(image, np.uint8)).astype(np.int32)
    return np.asarray((stored.reshape(shape) - _OFFSET).astype(np.int16))


def _packed(mask: NDArray[np.bool_]) -> bytes:
    return np.packbits(mask).tobytes()


def _unpacked(packed: bytes, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))[: prod(shape)]
    return np.asarray(bits.reshape(shape).astype(np.bool_))


def _to_record(entry: Entry) -> dict[str, Any]:
    shapes = [_shape_record(each) for each in entry.neighbours]
    return asdict(entry) | {"lesion": _shape_record(entry.lesion), "neighbours": shapes}


def _shape_record(shape: Shape) -> dict[str, Any]:
    record = asdict(shape)
    return record | {"told": record["told"] | {"outline": shape.told.outline.value}}


def _from_record(record: dict[str, Any]) -> Entry:
    arrays = {name: tuple(record[name]) for name in ("place", "shape", "spacing")}
    neighbours = tuple(_shape(each) for each in record["neighbours"])
    return Entry(**record | arrays | {"lesion": _shape(record["lesion"]), "neighbours": neighbours})


def _shape(record: dict[str, Any]) -> Shape:
    told = Told(**record["told"])
    told = replace(told, outline=Outline(told.outline))
    return Shape(**record | {"centre": tuple(record["centre"]), "told": told})
