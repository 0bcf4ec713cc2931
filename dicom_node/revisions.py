"""What was made of each state of a series, on disk, so that every retry sends the same bytes.

    <root>/<Series Instance UID>/<digest>/revision.json     which instances; written first
    <root>/<Series Instance UID>/<digest>/<n>-<kind>.dcm    objects to send, in order
    <root>/<Series Instance UID>/<digest>/bookmarks.json    written last: the analysis is done

A revision is one set of instances of one series. The same set is the same revision, however
often and in whatever order its instances arrive.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

from dicom_node.spool import write_durably
from plugin import Earlier, Kind, bookmark

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydicom import Dataset

    from plugin import Analysis, Bookmark


@dataclass(frozen=True)
class Revision:
    """One state of a series."""

    #: Series Instance UID.
    series_uid: str
    #: Names the set of instances, 16 hexadecimal digits.
    digest: str
    #: 1 for the first state of the series, 2 after late instances, and so on.
    number: int
    #: SOP Instance UIDs, sorted.
    instances: tuple[str, ...]


class Revisions:
    """The folder of revisions; written by the workflow only."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def freeze(self, series_uid: str, instances: Iterable[str]) -> Revision:
        """The revision of this set of instances, made now unless it exists."""
        uids = tuple(sorted(instances))
        digest = sha256("\n".join(uids).encode()).hexdigest()[:16]
        known = self.of(series_uid)
        for revision in known:
            if revision.digest == digest:
                return revision
        revision = Revision(series_uid, digest, len(known) + 1, uids)
        folder = self._folder(revision)
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / "revision.json", json.dumps(asdict(revision)).encode())
        return revision

    def of(self, series_uid: str) -> list[Revision]:
        """All revisions of a series, oldest first."""
        found = [self._read(path) for path in (self._root / series_uid).glob("*/revision.json")]
        return sorted(found, key=lambda revision: revision.number)

    def get(self, series_uid: str, digest: str) -> Revision:
        """One revision that exists."""
        return self._read(self._root / series_uid / digest / "revision.json")

    def save(self, revision: Revision, analysis: Analysis) -> None:
        """Write what the plugin gave; overwrites what a killed analysis left."""
        folder = self._folder(revision)
        for number, product in enumerate(analysis.objects):
            name = f"{number:03}-{product.kind}.dcm"
            write_durably(folder / name, _encoded(product.dataset))
        records = [bookmark.to_record(b) for b in analysis.bookmarks]
        write_durably(folder / "bookmarks.json", json.dumps(records, indent=1).encode())

    def objects(self, series_uid: str, digest: str, kind: Kind) -> list[Path]:
        """The DICOM files of one kind, in order."""
        return sorted((self._root / series_uid / digest).glob(f"*-{kind}.dcm"))

    def bookmarks(self, revision: Revision) -> tuple[Bookmark, ...]:
        """The bookmarks of a revision whose analysis is done."""
        records = json.loads((self._folder(revision) / "bookmarks.json").read_bytes())
        return tuple(bookmark.from_record(record) for record in records)

    def earlier(self, revision: Revision) -> Earlier | None:
        """What was last reported on the same series before this revision."""
        for other in reversed(self.of(revision.series_uid)):
            if other.number < revision.number and self._is_done(other):
                reports = self.objects(other.series_uid, other.digest, Kind.REPORT)
                return Earlier(tuple(reports), self.bookmarks(other))
        return None

    def _is_done(self, revision: Revision) -> bool:
        return (self._folder(revision) / "bookmarks.json").exists()

    def _folder(self, revision: Revision) -> Path:
        return self._root / revision.series_uid / revision.digest

    def _read(self, path: Path) -> Revision:
        record = json.loads(path.read_bytes())
        return Revision(**record | {"instances": tuple(record["instances"])})


def _encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
