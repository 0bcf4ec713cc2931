"""The subcommand: from a folder, the node's spool or an archive into a data set."""

from __future__ import annotations

import fcntl
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dicom_node import config
from dicom_node.config_tables import Listener, Sender
from dicom_node.errors import NodeError
from dicom_node.harvest.asking import open_archive
from dicom_node.harvest.dataset import marks_of_people, open_dataset, private_folder
from dicom_node.harvest.folders import Folders
from dicom_node.harvest.index import Index
from dicom_node.harvest.logbook import Logbook
from dicom_node.harvest.selection import Selection
from dicom_node.harvest.walk import Room, Tally, Walk
from dicom_node.spool import Shelf
from dicom_node.wording import plural

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from dicom_node.harvest.walk import Source

#: Exit statuses: all is done; some studies could not be fetched; somebody has stopped it.
OK, FAILED, STOPPED = 0, 1, 3
#: Files in the private folder.
_INDEX: Final = "index.sqlite"
_LOCK: Final = "harvest.lock"
_FETCHED: Final = "fetched"


@dataclass(frozen=True)
class _Watch:
    """Who watches, and whether somebody wants it to stop."""

    progress: Progress
    stop: Event

    def say(self, words: str) -> None:
        """What is done at this moment."""
        self.progress.update(self.progress.task_ids[0], description=words)


def harvest(arguments: Namespace) -> int:
    """Build a data set, or look what there would be with `--dry-run`."""
    out = Console(markup=False, highlight=False, soft_wrap=True)
    with _watch() as watch:
        if arguments.dry_run:
            lines, status = _look(arguments, watch), OK
        else:
            tally = _fill(arguments, watch)
            lines, status = _told(tally), _status(tally)
    for line in lines:
        out.print(line)
    return status


def _fill(arguments: Namespace, watch: _Watch) -> Tally:
    target: Path = arguments.target
    private = private_folder(target)
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(private), open_dataset(target) as dataset, ExitStack() as stack:
        logbook = Logbook(private)
        stack.callback(logbook.close)
        source = stack.enter_context(_source(arguments, private, logbook, watch))
        walk = Walk(
            source,
            logbook,
            dataset,
            Room(private, _listener(arguments).disk_reserve_mb << 20),
            is_stopped=watch.stop.is_set,
            on_study=lambda tally: watch.say(_in_short(tally)),
        )
        return walk.go()


def _look(arguments: Namespace, watch: _Watch) -> list[str]:
    """What a harvest would look at; nothing is fetched, and nothing is written."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        logbook = Logbook(Path(folder))
        stack.callback(logbook.close)
        source = stack.enter_context(_source(arguments, Path(folder), logbook, watch))
        studies = marks = 0
        for candidate in source.candidates():
            studies += 1
            if isinstance(source, Folders):
                marks += marks_of_people(source.objects(candidate)).count
            watch.say(f"{studies} studies")
    lines = [f"{studies} studies with objects that may hold bookmarks"]
    return lines if arguments.pacs else [*lines, f"{marks} bookmarks of people in them"]


@contextmanager
def _source(
    arguments: Namespace, private: Path, logbook: Logbook, watch: _Watch
) -> Iterator[Source]:
    selection = Selection(
        arguments.first, arguments.last, arguments.modality, arguments.body_part.upper()
    )
    if arguments.pacs:
        with open_archive(
            config.load(arguments.config),
            selection,
            logbook,
            private / _FETCHED,
            by=arguments.by,
            stop=watch.stop,
            say=watch.say,
        ) as archive:
            yield archive
        return
    index = Index(private / _INDEX)
    try:
        found = index.scan(_folders(arguments), lambda files: watch.say(f"{files} files"))
        watch.say(f"{plural(found.objects, 'object')}, {plural(found.images, 'image')}")
        yield Folders(index, selection)
    finally:
        index.close()
        (private / _INDEX).unlink(missing_ok=True)


def _folders(arguments: Namespace) -> list[Path]:
    """Where to look. Raises NodeError for a folder that is none."""
    if arguments.node:
        spool = Path(config.load(arguments.config).node.state_dir) / "spool"
        return [spool / shelf for shelf in (Shelf.SERIES, Shelf.ASIDE)]
    if not arguments.folder.is_dir():
        raise NodeError(f"{arguments.folder}: there is no such folder")
    return [arguments.folder]


def _listener(arguments: Namespace) -> Listener:
    """Its limits; those that it has by itself where a folder is harvested without a node."""
    if arguments.folder and not arguments.config.exists():
        return Listener(sender=(Sender(ae_title="NOBODY"),))
    return config.load(arguments.config).listener


@contextmanager
def _alone(private: Path) -> Iterator[None]:
    """Raises NodeError where another harvest fills the same data set."""
    with (private / _LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeError(f"{private}: another harvest is at work") from error
        yield


@contextmanager
def _watch() -> Iterator[_Watch]:
    """Progress where a person watches; SIGINT and SIGTERM end the harvest in good order."""
    err = Console(stderr=True)
    stop = Event()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Progress(
            *columns, console=err, transient=True, disable=not err.is_terminal
        ) as progress:
            progress.add_task("looking", total=None)
            yield _Watch(progress, stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(tally: Tally) -> int:
    if tally.was_stopped:
        return STOPPED
    return FAILED if tally.failed else OK


def _in_short(tally: Tally) -> str:
    return f"{tally.studies} studies, {tally.new} new bookmarks"


def _told(tally: Tally) -> list[str]:
    """The tally for a person."""
    lines = [
        f"{tally.studies} studies: {tally.without} without a bookmark of a person,"
        f" {tally.failed} left for the next harvest; {tally.done_before} more were done before",
        f"{tally.new} bookmarks entered, {tally.known} were there already",
    ]
    reasons = sorted(tally.left_out.items(), key=lambda item: (-item[1], item[0]))
    lines += [f"left out: {count} times: {reason}" for reason, count in reasons]
    held = tally.summary
    lines.append(
        f"the data set holds {held.bookmarks} bookmarks of {held.patients} patients"
        f" (training, validation, test: {', '.join(map(str, held.split))})"
    )
    if tally.was_stopped:
        lines.append("stopped; the next harvest goes on from here")
    return lines
