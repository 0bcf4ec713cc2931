"""What was made of each state of a series, on disk, so that every retry sends the same bytes.

    <root>/<Series Instance UID>/lock                       held to number or write a revision
    <root>/<Series Instance UID>/<digest>/revision.json     which instances; written first
    <root>/<Series Instance UID>/<digest>/<n>-<kind>.dcm    objects to send, in order
    <root>/<Series Instance UID>/<digest>/bookmarks.json    written last: the analysis is done
    <root>/<Series Instance UID>/<digest>/settled           every destination has it, or it was
                                                            refused; the queue forgets it

A revision is one set of instances of one series. The same set is the same revision, however
often and in whatever order its instances arrive.
"""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

from dicom_node.durable import DurableFolders, write_durably
from plugin import Earlier, Kind, bookmark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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
        self._folders = DurableFolders()
        root.mkdir(parents=True, exist_ok=True)

    def freeze(self, series_uid: str, instances: Iterable[str]) -> Revision:
        """The revision of this set of instances, made now unless it exists."""
        uids = tuple(sorted(instances))
        digest = sha256("\n".join(uids).encode()).hexdigest()[:16]
        with self._alone(series_uid):
            known = self.of(series_uid)
            for revision in known:
                if revision.digest == digest:
                    return revision
            revision = Revision(series_uid, digest, len(known) + 1, uids)
            folder = self._folder(revision)
            self._folders.make(folder)
            write_durably(folder / "revision.json", json.dumps(asdict(revision)).encode())
            return revision

    @contextmanager
    def _alone(self, series_uid: str) -> Iterator[None]:
        """No other worker numbers a revision of the series or writes one meanwhile."""
        self._folders.make(self._root / series_uid)
        with (self._root / series_uid / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def of(self, series_uid: str) -> list[Revision]:
        """All revisions of a series, oldest first."""
        found = [self._read(path) for path in (self._root / series_uid).glob("*/revision.json")]
        return sorted(found, key=lambda revision: revision.number)

    def get(self, series_uid: str, digest: str) -> Revision:
        """One revision that exists."""
        return self._read(self._root / series_uid / digest / "revision.json")

    def save(self, revision: Revision, analysis: Analysis) -> None:
        """Write what the plugin gave; overwrites what a killed analysis left.

        Nothing is written when the analysis is done already: another worker was quicker, and
        what it wrote may be on its way.
        """
        with self._alone(revision.series_uid):
            if not self.is_done(revision):
                self._write(self._folder(revision), analysis)

    def _write(self, folder: Path, analysis: Analysis) -> None:
        # It was refused before, and there is something to do about it again.
        (folder / "settled").unlink(missing_ok=True)
        for left in folder.glob("*.dcm"):
            left.unlink()
        for number, product in enumerate(analysis.objects):
            name = f"{number:03}-{product.kind}.dcm"
            write_durably(folder / name, _encoded(product.dataset))
        records = [bookmark.to_record(b) for b in analysis.bookmarks]
        write_durably(folder / "bookmarks.json", json.dumps(records, indent=1).encode())

    def is_done(self, revision: Revision) -> bool:
        """Whether everything that the plugin gave is on disk."""
        return (self._folder(revision) / "bookmarks.json").exists()

    def is_settled(self, revision: Revision) -> bool:
        """Whether nothing remains to be done about a revision, now and for ever."""
        return (self._folder(revision) / "settled").exists()

    def settle(self, series_uid: str, digest: str) -> None:
        """Note that nothing remains to be done, and drop the objects that nobody reads again.

        The report stays: a later revision names it as its predecessor.
        """
        write_durably(self._root / series_uid / digest / "settled", b"")
        for kind in set(Kind) - {Kind.REPORT}:
            for path in self.objects(series_uid, digest, kind):
                path.unlink()

    def outlived(self, series_uid: str) -> set[str]:
        """SOP Instance UIDs of settled revisions that no later revision needs."""
        known = self.of(series_uid)
        settled = [revision for revision in known if self.is_settled(revision)]
        last = max((revision.number for revision in settled), default=0)
        needed = {uid for revision in known if revision.number > last for uid in revision.instances}
        return {uid for revision in settled for uid in revision.instances} - needed

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
            if other.number < revision.number and self.is_done(other):
                reports = self.objects(other.series_uid, other.digest, Kind.REPORT)
                return Earlier(tuple(reports), self.bookmarks(other))
        return None

    def _folder(self, revision: Revision) -> Path:
        return self._root / revision.series_uid / revision.digest

    def _read(self, path: Path) -> Revision:
        record = json.loads(path.read_bytes())
        return Revision(**record | {"instances": tuple(record["instances"])})


def _encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
