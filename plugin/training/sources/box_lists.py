"""Lists of boxes on single slices, joined to lesions where they lie on each other."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from plugin.datasets import box_lists as lists
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.marked import Mark
from plugin.datasets.series_folders import by_instance, is_held_out_series, patient_id
from plugin.datasets.voc import read_voc
from plugin.training.samples import Annotation, Scan
from plugin.training.sources.marked import annotation
from plugin.volume import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plugin.bookmark import Box
    from plugin.datasets.boxes import BoxedImage
    from plugin.training.config import Source
    from plugin.volume import Volume

#: Boxes on neighbouring slices mean one lesion from this intersection over union on.
_SAME = 0.3


def coco(source: Source) -> list[Scan]:
    """A COCO list; `folder` is the file."""
    return _scans(source, lists.read_coco(source.folder))


def tensorbox(source: Source) -> list[Scan]:
    """A list as TensorBox writes it; `folder` is the file."""
    return _scans(source, lists.read_tensorbox(source.folder))


def voc(source: Source) -> list[Scan]:
    """PASCAL-VOC, one XML file an instance."""
    return _scans(source, read_voc(source.folder))


def _scans(source: Source, images: Sequence[BoxedImage]) -> list[Scan]:
    """The series of the images that are at hand; an image is named for its SOP Instance UID."""
    if source.series is None:
        raise InvalidDataset(f"{source.folder}: a source of the kind {source.kind} needs `series`")
    folders = by_instance(source.series)
    series: dict[Path, dict[str, BoxedImage]] = defaultdict(dict)
    for image in images:
        uid = _uid(image.name)
        if uid in folders and image.boxes:
            series[folders[uid]][uid] = image
    if not series:
        raise InvalidDataset(f"{source.folder}: no box is on an instance in {source.series}")
    return [_scan(folder, series[folder], source) for folder in sorted(series)]


def _uid(name: str) -> str:
    """SOP Instance UID of an image: its name without folder and the ending of a file."""
    stem = Path(name).name
    return stem.rsplit(".", 1)[0] if stem.rsplit(".", 1)[-1].isalpha() else stem


def _scan(folder: Path, images: dict[str, BoxedImage], source: Source) -> Scan:
    def annotations(volume: Volume) -> list[Annotation]:
        return [annotation(group, volume, source) for group in joined(_marks(images, volume))]

    return Scan(
        name=folder.name,
        volume=lambda: read(folder.iterdir()),
        annotations=annotations,
        learned=not is_held_out_series(folder, patient_id(folder)),
    )


def _marks(images: dict[str, BoxedImage], volume: Volume) -> list[Mark]:
    """The boxes of a volume, slice by slice."""
    return [
        Mark(0, index, each.box, None, each.label)
        for index, slice_ in enumerate(volume.slices)
        if slice_.sop_instance_uid in images
        for each in images[slice_.sop_instance_uid].boxes
    ]


def joined(marks: Iterable[Mark]) -> list[list[Mark]]:
    """Marks that are of one lesion: boxes of one label that overlap on neighbouring slices.

    `marks` ascend along the slices.
    """
    lesions: list[list[Mark]] = []
    for mark in marks:
        before = [each for each in lesions if _continues(each[-1], mark)]
        best = max(before, key=lambda each: _overlap(each[-1].box, mark.box), default=None)
        if best is None:
            lesions.append([mark])
        else:
            best.append(mark)
    return lesions


def _continues(before: Mark, mark: Mark) -> bool:
    neighbours = mark.slice_index == before.slice_index + 1 and mark.label == before.label
    return neighbours and _overlap(before.box, mark.box) >= _SAME


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of boxes of outermost pixels."""
    columns = min(one[2], other[2]) - max(one[0], other[0]) + 1
    rows = min(one[3], other[3]) - max(one[1], other[1]) + 1
    common = max(columns, 0.0) * max(rows, 0.0)
    return common / (_area(one) + _area(other) - common)


def _area(box: Box) -> float:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)
