"""The files of a study -> its CT planes and its radiologists' bookmarks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from plugin.datasets.harvested import readers
from plugin.datasets.harvested.outcome import LeftOut
from plugin.datasets.harvested.registry import are_drawn_alike
from plugin.datasets.harvested.stack import reason_to_leave_out
from plugin.errors import PluginError, UnsuitableSeries
from plugin.planes import planes_of, reason_to_set_aside

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plugin.bookmark import Bookmark
    from plugin.datasets.harvested.readers import Marked
    from plugin.planes import Plane

#: What pydicom raises on files that are cut off or hold nonsense.
BROKEN = (AttributeError, EOFError, IndexError, KeyError, NotImplementedError, OSError, TypeError)

#: When an object was made and how large its file is, and the object.
_Ranked = tuple[tuple[str, int], Dataset]


@dataclass
class Sources:
    """What the files of one study hold."""

    #: Axial planes of the CT by Series Instance UID.
    planes: dict[str, list[Plane]] = field(default_factory=lambda: defaultdict(list))
    #: Bookmarks of people, the latest revision of each object, in a fixed order.
    marked: list[Marked] = field(default_factory=list)
    #: Bookmarks of programs.
    programs: list[Bookmark] = field(default_factory=list)
    #: The objects they come from.
    documents: list[Dataset] = field(default_factory=list)
    #: What is neither.
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def headers(self) -> list[Dataset]:
        """Headers of the instances with planes, each once."""
        everything = (plane for planes in self.planes.values() for plane in planes)
        return list({plane.uid: plane.header for plane in everything}.values())

    def leave_out(self, instance: str, reason: str) -> None:
        """Note that something did not enter."""
        self.left_out.append(LeftOut(instance, reason))


def read_sources(paths: Iterable[Path]) -> Sources:
    """Sort the files of a study; broken and unfit ones are noted, never raised."""
    sources = Sources()
    documents: dict[str, _Ranked] = {}
    seen: set[str] = set()
    for path in sorted(paths):
        header = _header(path, sources)
        if header is None:
            continue
        if readers.is_bookmark_object(header):
            _keep_latest(path, header, documents)
        elif str(header.SOPInstanceUID) not in seen:
            seen.add(str(header.SOPInstanceUID))
            _add_planes(path, header, sources)
    objects = [each for _, each in documents.values()]
    sources.documents = readers.latest(objects, sources.leave_out)
    for document in sources.documents:
        _add_bookmarks(document, sources)
    _leave_out_copies(sources)
    return sources


def scout(paths: Iterable[Path]) -> tuple[int, dict[str, set[str]]]:
    """How many bookmarks of people some objects hold, and the images to be had for them.

    The images are SOP Instance UIDs by Series Instance UID. An object that can be read only with
    its images counts as one bookmark, with all images that it refers to.
    """
    sources = read_sources(paths)
    images: dict[str, set[str]] = {}
    for marked in sources.marked:
        key = marked.bookmark
        images.setdefault(key.series_instance_uid, set()).add(key.sop_instance_uid)
    unread = [each for each in sources.documents if readers.needs_images(each)]
    for document in unread:
        for series, instances in readers.images_of(document).items():
            images.setdefault(series, set()).update(instances)
    known = {marked.source for marked in sources.marked}
    more = sum(str(document.SOPInstanceUID) not in known for document in unread)
    return len(sources.marked) + more, images


def _header(path: Path, sources: Sources) -> Dataset | None:
    """A file without its pixels; None, and noted, where it is no complete instance."""
    try:
        header = dcmread(path, stop_before_pixels=True)
        for keyword in ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"):
            if not header.get(keyword):
                sources.leave_out(str(header.get("SOPInstanceUID") or path.name), f"no {keyword}")
                return None
    except InvalidDicomError:
        sources.leave_out(path.name, "is not a DICOM file")
    except (*BROKEN, ValueError) as error:
        sources.leave_out(path.name, f"cannot be read ({type(error).__name__})")
    else:
        return header
    return None


def _keep_latest(path: Path, document: Dataset, documents: dict[str, _Ranked]) -> None:
    """Of two files with one SOP Instance UID the later, then the larger counts: one may be cut."""
    uid = str(document.SOPInstanceUID)
    rank = readers.made(document), path.stat().st_size
    if uid not in documents or documents[uid][0] < rank:
        documents[uid] = rank, document


def _add_planes(path: Path, header: Dataset, sources: Sources) -> None:
    uid = str(header.SOPInstanceUID)
    reason = reason_to_set_aside(header)
    if reason is not None:
        sources.leave_out(uid, reason)
        return
    try:
        planes = planes_of(path, header)
        reasons = {found for found in map(reason_to_leave_out, planes) if found}
    except (UnsuitableSeries, *BROKEN, ValueError) as error:
        sources.leave_out(uid, _without_uid(error, uid))
        return
    if reasons:
        sources.leave_out(uid, ", ".join(sorted(reasons)))
        return
    sources.planes[str(header.SeriesInstanceUID)] += planes


def _add_bookmarks(document: Dataset, sources: Sources) -> None:
    uid = str(document.SOPInstanceUID)
    try:
        found = readers.marks(document, sources.headers)
    except (PluginError, *BROKEN, ValueError):
        # What is wrong is told in the object's own words, and they may name a patient.
        kind = readers.MODALITIES[str(document.Modality)]
        sources.leave_out(uid, f"is a {kind} that cannot be understood")
        return
    sources.marked += found.people
    sources.programs += found.programs
    for reason in found.reasons:
        sources.leave_out(uid, reason)


def _leave_out_copies(sources: Sources) -> None:
    """What a program reports under its name it may show again in graphics without an author."""
    kept = []
    for marked in sources.marked:
        copied = any(are_drawn_alike(marked.bookmark, other) for other in sources.programs)
        if copied and not marked.by_person:
            sources.leave_out(marked.source, readers.BY_PROGRAM)
        else:
            kept.append(marked)
    sources.marked = kept


def _without_uid(error: Exception, uid: str) -> str:
    """What an error says, without the instance that is named anyhow."""
    return str(error).removeprefix(f"instance {uid}: ") or type(error).__name__
