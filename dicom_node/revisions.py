"""What was made of each state of a series, on disk, so that every retry sends the same bytes.

    <root>/<Series Instance UID>/lock                       held to number or write a revision
    <root>/<Series Instance UID>/<digest>/revision.json     which instances; written first
    <root>/<Series Instance UID>/<digest>/<n>-<kind>.dcm    objects to send, in order
    <root>/<Series Instance UID>/<digest>/<n>.png           key slices for the status page
    <root>/<Series Instance UID>/<digest>/about.json        model, remarks, texts of the pictures
    <root>/<Series Instance UID>/<digest>/bookmarks.json    written last: the analysis is done
    <root>/<Series Instance UID>/<digest>/settled           every destination has it, or it was
                                                            refused; the queue forgets it

A revision is one set of instances of one series. The same set is the same revision, however
often and in whatever order its instances arrive. Where a person lets another model look at it
again, that makes a revision of its own.
"""

from __future__ import annotations

import fcntl
import json
import logging
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from shutil import rmtree
from typing import TYPE_CHECKING

from dicom_node.durable import DurableFolders, write_durably
from dicom_node.spool import check_uid
from plugin import Earlier, Kind, bookmark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydicom import Dataset

    from plugin import Analysis, Bookmark, Picture

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class About:
    """What is known of an analysis besides its bookmarks."""

    #: Name and version of the model; empty when that was not written down.
    model: str = ""
    #: One sentence for each instance that was left out, and why.
    remarks: tuple[str, ...] = ()
    #: What is to be seen on each picture.
    pictures: tuple[str, ...] = ()


class Revisions:
    """The folder of revisions; written by the workflow only."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = DurableFolders()
        root.mkdir(parents=True, exist_ok=True)

    def freeze(self, series_uid: str, instances: Iterable[str]) -> Revision:
        """The revision of this set of instances, made now unless it exists."""
        uids = tuple(sorted(instances))
        return self._number(series_uid, uids, uids)

    def _number(self, series_uid: str, uids: tuple[str, ...], names: tuple[str, ...]) -> Revision:
        digest = sha256("\n".join(names).encode()).hexdigest()[:16]
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

    def renew(self, known: Revision, model: str) -> Revision:
        """The same instances for another model to look at, as a revision of its own."""
        return self._number(known.series_uid, known.instances, (*known.instances, model))

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

    def made_at(self, revision: Revision) -> float:
        """When this set of instances was fixed, seconds since the epoch."""
        return (self._folder(revision) / "revision.json").stat().st_mtime

    def save(self, revision: Revision, analysis: Analysis, model: str) -> None:
        """Write what the plugin gave; overwrites what a killed analysis left.

        `model` is the plugin's version.

        Nothing is written when the analysis is done already: another worker was quicker, and
        what it wrote may be on its way.
        """
        with self._alone(revision.series_uid):
            if not self.is_done(revision):
                self._write(self._folder(revision), analysis, model)

    def _write(self, folder: Path, analysis: Analysis, model: str) -> None:
        # It was refused before, and there is something to do about it again.
        (folder / "settled").unlink(missing_ok=True)
        for left in (*folder.glob("*.dcm"), *folder.glob("*.png")):
            left.unlink()
        for number, product in enumerate(analysis.objects):
            name = f"{number:03}-{product.kind}.dcm"
            write_durably(folder / name, _encoded(product.dataset))
        _write_pictures(folder, analysis.pictures)
        about = About(model, analysis.remarks, tuple(p.text for p in analysis.pictures))
        write_durably(folder / "about.json", json.dumps(asdict(about), indent=1).encode())
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
        for path in (self._root / series_uid / digest).glob("*.png"):
            path.unlink()

    def outlived(self, series_uid: str) -> set[str]:
        """SOP Instance UIDs of settled revisions that no later revision needs."""
        known = self.of(series_uid)
        settled = [revision for revision in known if self.is_settled(revision)]
        last = max((revision.number for revision in settled), default=0)
        needed = {uid for revision in known if revision.number > last for uid in revision.instances}
        return {uid for revision in settled for uid in revision.instances} - needed

    def drop(self, series_uid: str) -> None:
        """Delete everything that was made of a series; for tests of an installation only.

        Whoever sends the series again gets a report anew, which no archive may be given twice.
        """
        rmtree(self._root / check_uid(series_uid), ignore_errors=True)

    def objects(self, series_uid: str, digest: str, kind: Kind) -> list[Path]:
        """The DICOM files of one kind, in order."""
        return sorted((self._root / series_uid / digest).glob(f"*-{kind}.dcm"))

    def bookmarks(self, revision: Revision) -> tuple[Bookmark, ...]:
        """The bookmarks of a revision whose analysis is done."""
        records = json.loads((self._folder(revision) / "bookmarks.json").read_bytes())
        return tuple(bookmark.from_record(record) for record in records)

    def about(self, revision: Revision) -> About:
        """What else is known of the analysis of a revision."""
        path = self._folder(revision) / "about.json"
        if not path.exists():
            return About()  # not analysed yet, or before this was written down
        record = json.loads(path.read_bytes())
        return About(record["model"], tuple(record["remarks"]), tuple(record["pictures"]))

    def has_seen(self, model: str, revision: Revision) -> bool:
        """Whether that model has analysed these very instances."""
        same = (r for r in self.of(revision.series_uid) if r.instances == revision.instances)
        return any(self.about(each).model == model for each in same)

    def picture(self, series_uid: str, digest: str, number: int) -> Path | None:
        """The key slice of a bookmark (PNG), counted from 0; None when there is none any more."""
        path = _picture(self._root / series_uid / digest, number)
        return path if path.exists() else None

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


def _write_pictures(folder: Path, pictures: Iterable[Picture]) -> None:
    """No report waits for what only the status page shows."""
    try:
        for number, picture in enumerate(pictures):
            write_durably(_picture(folder, number), picture.png)
    except OSError as error:
        log.warning("LM406 series %s: pictures are missing: %s", folder.parent.name, error)


def _picture(folder: Path, number: int) -> Path:
    return folder / f"{number:03}.png"


def _encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
