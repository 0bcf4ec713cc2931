"""What each side drew, from whatever form it is kept in."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from plugin import volume
from plugin.datasets import deeplesion_folder, marked
from plugin.datasets.bookmark_list import read_bookmarks
from plugin.datasets.deeplesion_images import affine, read_volume
from plugin.datasets.deeplesion_table import read_table
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.harvested.readers import latest
from plugin.datasets.harvested.registry import are_same
from plugin.errors import InvalidReport
from plugin.evaluation.comparison.marks import (
    Lesion,
    of_bookmark,
    of_detection,
    of_marks,
    of_row,
)
from plugin.planes import reason_to_set_aside
from plugin.report import AuthorKind, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.datasets.deeplesion import Row
    from plugin.detector import Detector
    from plugin.volume import Volume

#: Modality (0008,0060) of objects that may hold bookmarks; of a lesion in several, the first that
#: has it says most of it.
BOOKMARK_MODALITIES = ("SR", "PR", "RTSTRUCT")
#: Lowest score of what a report holds.
REPORTED = 0.5


class Scans:
    """CT series on disk; each is read when it is needed, and the last one is kept."""

    def __init__(self, files: dict[str, list[Path]]) -> None:
        #: Files by Series Instance UID.
        self.files = files
        self._kept: tuple[str, Volume] | None = None

    @cached_property
    def headers(self) -> list[Dataset]:
        """Of every instance of every series."""
        paths = (path for series in self.files.values() for path in series)
        return [dcmread(path, stop_before_pixels=True) for path in paths]

    def volume(self, uid: str) -> Volume:
        """One series. Raises UnsuitableSeries."""
        if self._kept is None or self._kept[0] != uid:
            self._kept = (uid, volume.read(self.files[uid]))
        return self._kept[1]


@dataclass(frozen=True)
class Source:
    """The lesions of one side."""

    #: By scan: Series Instance UID, or name of the slices in DeepLesion.
    lesions: dict[str, list[Lesion]]
    #: One sentence for each thing that was left out, and why.
    remarks: tuple[str, ...] = ()
    #: Rows whose slices can be drawn, by scan; empty but for DeepLesion.
    rows: dict[str, Row] | None = None
    #: Folder of DeepLesion's images; None where there are none.
    images: Path | None = None

    def volume(self, scan: str) -> Volume | None:
        """The slices of DeepLesion, where they are at hand."""
        if self.rows is None or self.images is None or scan not in self.rows:
            return None
        try:
            return read_volume(self.images, self.rows[scan])
        except InvalidDataset:
            return None


def find_series(folders: list[Path]) -> Scans:
    """The CT series in files and folders, subfolders included."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path, header in (each for folder in folders for each in _dicom(folder)):
        if reason_to_set_aside(header) is None:
            files[str(header.SeriesInstanceUID)].append(path)
    return Scans(dict(files))


def read_source(path: Path, wanted: frozenset[AuthorKind], scans: Scans) -> Source:
    """The lesions of a file or folder, by authors of these kinds where the form names authors.

    DICOM bookmark objects, `lesions.json` or its folder, bookmarks as JSON, DL_info.csv or a folder
    with Images_png. Raises InvalidDataset naming what is wrong.
    """
    if not path.exists():
        raise InvalidDataset(f"{path}: there is no such file or folder")
    if path.suffix == ".csv":
        return _of_table(path, None)
    images = deeplesion_folder.find_images(path) if path.is_dir() else None
    if images is not None and not (path / marked.TABLE).is_file():
        return _of_table(deeplesion_folder.find_table(images), images)
    if path.name == marked.TABLE or (path / marked.TABLE).is_file():
        return _of_marked(path.parent if path.is_file() else path, scans)
    if path.suffix == ".json":
        return _of_records(path, scans)
    return _of_objects(path, wanted, scans)


def analysed(detector: Detector, scans: Scans) -> Source:
    """What a detector finds and would report. Raises UnsuitableSeries."""
    lesions = {}
    for uid in scans.files:
        ct = scans.volume(uid)
        found = detector.detect(ct, REPORTED)
        lesions[uid] = [of_detection(each, ct) for each in found if each.score >= REPORTED]
    return Source(lesions)


def _of_objects(path: Path, wanted: frozenset[AuthorKind], scans: Scans) -> Source:
    """DICOM bookmark objects: SR, presentation states, structure sets; each bookmark once."""
    lesions: dict[str, list[Lesion]] = defaultdict(list)
    known: list[Bookmark] = []
    remarks: list[str] = []
    for name, document in _objects(path, remarks):
        try:
            found = read(document, headers=scans.headers)
        except InvalidReport as error:
            remarks.append(f"{name}: {error}")
            continue
        theirs = found.by(*wanted)
        kept = [mark for mark in theirs if not any(are_same(mark, other) for other in known)]
        known += kept
        remarks += [f"{name}: {remark}" for remark in found.remarks]
        if len(theirs) < len(found.bookmarks):
            others = len(found.bookmarks) - len(theirs)
            remarks.append(f"{name}: {others} bookmarks are the other side's")
        if len(kept) < len(theirs):
            remarks.append(f"{name}: {len(theirs) - len(kept)} bookmarks are in another object too")
        _add(kept, scans, lesions, remarks)
    return Source(dict(lesions), tuple(remarks))


def _objects(path: Path, remarks: list[str]) -> list[tuple[str, Dataset]]:
    """The objects that no other one replaces, with the names of their files."""
    files = {
        str(header.get("SOPInstanceUID")): (each.name, header)
        for each, header in _dicom(path)
        if header.get("Modality") in BOOKMARK_MODALITIES
    }

    def leave_out(uid: str, reason: str) -> None:
        remarks.append(f"{files[uid][0]}: {reason}")

    kept = latest([header for _, header in files.values()], leave_out)
    kept.sort(key=lambda each: BOOKMARK_MODALITIES.index(each.Modality))
    return [files[str(each.SOPInstanceUID)] for each in kept]


def _of_records(path: Path, scans: Scans) -> Source:
    """Bookmarks as `lesionmark analyse --json` writes them."""
    lesions: dict[str, list[Lesion]] = defaultdict(list)
    remarks: list[str] = []
    _add(read_bookmarks(path), scans, lesions, remarks)
    return Source(dict(lesions), tuple(remarks))


def _add(
    marks: Iterable[Bookmark], scans: Scans, lesions: dict[str, list[Lesion]], remarks: list[str]
) -> None:
    for mark in marks:
        uid = mark.series_instance_uid
        if uid not in scans.files:
            remarks.append(f"series {uid} of a bookmark is not among the images")
            continue
        ct = scans.volume(uid)
        placed = _in_volume(mark, ct)
        if placed is None:
            remarks.append(f"instance {mark.sop_instance_uid} of a bookmark is not in its volume")
            continue
        lesions[uid].append(of_bookmark(placed, ct))


def _in_volume(mark: Bookmark, ct: Volume) -> Bookmark | None:
    """A bookmark with the slice indices of a volume, which may leave out some of its series.

    None where its slice is left out.
    """
    # Some writers number the frame of a single one.
    index = next(
        (
            index
            for index, place in enumerate(ct.slices)
            if place.sop_instance_uid == mark.sop_instance_uid
            and place.frame_number in (mark.frame_number, None)
        ),
        None,
    )
    if index is None:
        return None
    first, last = (
        min(max(each + index - mark.slice_index, 0), len(ct.slices) - 1)
        for each in mark.slice_range
    )
    return replace(mark, slice_index=index, slice_range=(first, last))


def _of_marked(folder: Path, scans: Scans) -> Source:
    """`lesions.json`: of the series whose images are at hand."""
    lesions = {}
    for series in marked.read_marked(folder):
        uid = next(iter(find_series([series.folder]).files), None)
        if uid in scans.files:
            groups: dict[int, list[marked.Mark]] = defaultdict(list)
            for mark in series.marks:
                groups[mark.group].append(mark)
            ct = scans.volume(uid)
            lesions[uid] = [of_marks(each, ct) for each in groups.values()]
    return Source(lesions)


def _of_table(table: Path, images: Path | None) -> Source:
    """DL_info.csv: the slices that are given around a key slice are a scan."""
    lesions: dict[str, list[Lesion]] = defaultdict(list)
    rows = {}
    for row in read_table(table):
        rows[row.volume_name] = row
        lesions[row.volume_name].append(of_row(row, affine(row)))
    return Source(dict(lesions), rows=rows, images=images)


def _dicom(path: Path) -> Iterator[tuple[Path, Dataset]]:
    """The DICOM files of a file or folder, in the order of their names, with their headers."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    for each in files:
        try:
            yield each, dcmread(each, stop_before_pixels=True)
        except InvalidDicomError:
            continue
