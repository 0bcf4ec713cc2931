"""From the data that a configuration names to what is learned from them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import torch

from plugin.bookmark import LesionType
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.nodules import SPACING, is_held_out, read_patches
from plugin.datasets.patch_neighbours import neighbours
from plugin.detector.lattice import lattice, sample, source
from plugin.detector.learned import spacing
from plugin.detector.network import INPUT_SPACING
from plugin.training.backgrounds import Background, make_background
from plugin.training.blocks import Pool
from plugin.training.closeups import held, is_outlined, subjects
from plugin.training.packed import INDEX, Pack, read_pack, versions, write_pack
from plugin.training.samples import Cutting, cut_samples, of_patch
from plugin.training.sources import scans
from plugin.training.sources.types import place
from plugin.training.tasks import Finding, Outlining
from plugin.training.tiles import Tile, make_tiles
from plugin.volume import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from plugin.training.config import BackgroundSource, Config, Source
    from plugin.training.samples import Sample, Scan
    from plugin.training.tasks import Task

    Report = Callable[[str, float], None]

#: Folder of the packed sources in that of a run.
PACKED = "packed"


def prepare(config: Config, report: Report = lambda *_: None) -> Task:
    """What a configuration wants to be learned; takes minutes, and hours for a large source once.

    Sources are packed into the folder of the run, and read from there if they are already;
    `report` gets the name of one and how much of it is packed, 0 to 1.
    """
    packs = [pack(each, config, report) for each in config.sources]
    task = _outlining(config, packs) if config.task == "outline" else _finding(config, packs)
    if not task.lesions:
        raise InvalidDataset(f"no patch and no source holds a lesion to learn to {config.task}")
    return task


def _outlining(config: Config, packs: Sequence[Pack]) -> Task:
    readers = [held(each) for each in _patches(config)]
    readers += [reader for found in packs for reader in found.readers()]
    return Outlining(config, subjects(readers))


def _finding(config: Config, packs: Sequence[Pack]) -> Task:
    return Finding(config, pools(config, packs))


def pools(config: Config, packs: Sequence[Pack]) -> tuple[Pool, Pool]:
    """What blocks are made of, at full and at half size."""
    rng = np.random.default_rng(config.seed)
    patches = _patches(config)
    made = []
    for coarser, from_mm in ((1.0, 0.0), (2.0, config.composition.half_from_mm)):
        chosen = [each for each in patches if each.lesion.long_mm >= from_mm]
        tiles: list[Sequence[Tile]] = []
        tiles += make_tiles(chosen, config.composition.versions, 1.0 / coarser, rng)
        for each in packs:
            tiles += versions(each, 1.0 / coarser, config.seed, from_mm)
        backgrounds = [_background(each, coarser) for each in config.backgrounds]
        made.append(Pool(tiles, backgrounds))
    return made[0], made[1]


def pack(source: Source, config: Config, report: Report) -> Pack:
    """The samples of a source, packed now or before. Raises InvalidDataset, UnsuitableSeries."""
    folder = config.output / PACKED / _name(source, config)
    if (folder / INDEX).is_file():
        return read_pack(folder)
    unmarked = 1.0 if source.complete else source.unmarked
    cutting = Cutting(config.composition.surroundings, unmarked, _spacing(config))
    samples = _samples(scans(source), cutting, lambda done: report(folder.name, done))
    if config.task == "outline":
        samples = filter(is_outlined, samples)
    return write_pack(folder, samples)


def _samples(
    found: Sequence[Scan], cutting: Cutting, report: Callable[[float], None]
) -> Iterator[Sample]:
    for number, scan in enumerate(found, start=1):
        yield from cut_samples(scan, cutting)
        report(number / len(found))


def _name(source: Source, config: Config) -> str:
    """Of the pack of a source: another one where its settings differ."""
    finer = (_spacing(config),) if config.task == "outline" else ()
    settings = repr((source, config.composition.surroundings, *finer))
    return f"{source.kind}-{sha256(settings.encode()).hexdigest()[:12]}"


def _spacing(config: Config) -> tuple[float, float, float]:
    """Voxels of samples, mm (z, y, x): what the network sees, or finer for outlines."""
    return SPACING if config.task == "outline" else INPUT_SPACING


def _patches(config: Config) -> list[Sample]:
    if config.patches is None:
        return []
    lung, found = place(LesionType.LUNG), read_patches(config.patches)
    learned = [each for each in found if not is_held_out(each.series_instance_uid)]
    others = neighbours(config.readings, learned) if config.readings else {}
    return [of_patch(each, lung, others.get(each.name, ())) for each in learned]


def _background(described: BackgroundSource, coarser: float) -> Background:
    volume = read(described.series.iterdir())
    grid = lattice(volume, spacing(coarser))
    hu = sample(source(volume, torch.device("cpu")), grid)[0].numpy()
    boxes = np.array(described.excluded, float).reshape(-1, 3, 2).swapaxes(1, 2)
    # Both corners of each box on the grid; an axis of the volume may run against the grid's.
    corners = np.sort(grid.from_volume(boxes), axis=1)
    name, weight = described.series.name, described.weight
    return make_background(name, hu.round().astype(np.int16), corners, grid.spacing, weight)
