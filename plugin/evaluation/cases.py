"""What a detector is judged on: volumes, and the lesions that readers marked in them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plugin.datasets.nodules import SPACING, Patch, is_held_out, read_patches
from plugin.measure import measure
from plugin.volume import Slice, Volume, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Truth:
    """One lesion as readers marked it."""

    #: Centre, mm in LPS patient coordinates (x, y, z).
    centre: NDArray[np.float64]
    #: A finding whose centre is nearer than half of this is a hit, mm.
    diameter_mm: float
    #: Long and short axis in mm; None where only boxes were drawn.
    axes_mm: tuple[float, float] | None


@dataclass(frozen=True)
class Case:
    """One volume and everything that is known to be in it."""

    #: Name for tables.
    name: str
    #: Reads the volume; raises UnsuitableSeries.
    volume: Callable[[], Volume]
    #: The lesions in the volume, computed from it.
    truths: Callable[[Volume], tuple[Truth, ...]]


def held_out_patches(folder: Path) -> Iterator[Case]:
    """The nodule patches of the scans that training never sees."""
    return (_patch_case(p) for p in read_patches(folder) if is_held_out(p.series_instance_uid))


def marked_series(folder: Path) -> Iterator[Case]:
    """The series that `lesions.json` in a folder describes."""
    for entry in json.loads((folder / "lesions.json").read_text(encoding="utf-8")):
        yield _series_case(folder / entry["series_dir"], entry["lesions"])


def lesion_free_series(folders: Iterable[Path]) -> Iterator[Case]:
    """Folders of one series each in which every finding is wrong."""
    return (_series_case(folder, []) for folder in sorted(folders))


def _patch_case(patch: Patch) -> Case:
    def truths(volume: Volume) -> tuple[Truth, ...]:
        measured = measure(patch.mask, (0, 0, 0), volume).diameters
        centre = volume.to_patient(np.argwhere(patch.mask).mean(axis=0))
        axes = measured.long_axis_mm, measured.short_axis_mm
        return (Truth(centre, measured.long_axis_mm, axes),)

    return Case(patch.name, lambda: _patch_volume(patch), truths)


def _patch_volume(patch: Patch) -> Volume:
    """A patch as a volume at the origin of the patient; there is no instance behind it."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = SPACING
    affine[3, 3] = 1.0
    slices = tuple(Slice(f"{patch.name}.{index}", None) for index in range(len(patch.hu)))
    return Volume(patch.hu.astype(np.float32), affine, slices, ())


def _series_case(folder: Path, lesions: list[dict[str, Any]]) -> Case:
    groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for lesion in lesions:
        groups[lesion.get("group", 0)].append(lesion)

    def truths(volume: Volume) -> tuple[Truth, ...]:
        return tuple(_consensus(volume, marks) for marks in groups.values())

    return Case(folder.name, lambda: read(folder.iterdir()), truths)


def _consensus(volume: Volume, marks: list[dict[str, Any]]) -> Truth:
    """One lesion from the marks of several readers, or on several slices."""
    boxes = np.array([mark["key_bbox_px"] for mark in marks])  # [N, (x0, y0, x1, y1)]
    slices = np.array([mark["key_slice"] for mark in marks], float)
    middle = slices.mean(), boxes[:, 1::2].mean(), boxes[:, 0::2].mean()
    axes = [(m["recist"]["long_mm"], m["recist"]["short_mm"]) for m in marks if "recist" in m]
    centre = volume.to_patient(np.array(middle))
    if not axes:
        sides = (boxes[:, 2:] - boxes[:, :2] + 1) * volume.spacing[:0:-1]
        return Truth(centre, float(sides.max()), None)
    long_mm, short_mm = np.mean(axes, axis=0)
    return Truth(centre, float(long_mm), (float(long_mm), float(short_mm)))
