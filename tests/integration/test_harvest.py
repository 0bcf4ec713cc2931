"""Bookmarks of people out of Orthanc and dcmqrscp, equal to what was stored; killed and resumed."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from threading import Event, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset, dcmread

from deploy.processes import LOOPBACK, wait_until
from dicom_node import cli, config, query
from dicom_node.errors import NoAnswer, RetrieveRefused
from dicom_node.harvest import archive as source_module
from dicom_node.harvest.asking import open_archive
from dicom_node.harvest.command import FAILED, OK, STOPPED
from dicom_node.harvest.logbook import Logbook
from dicom_node.harvest.selection import Selection
from dicom_node.spool import Shelf, Spool
from plugin.datasets import phantom
from plugin.datasets.harvested import Builder
from tests.archives import ARCHIVES, ASKING, TAKING, Archive, orthanc
from tests.harvested_cases import SECRET, by_hand, chest, mark, save
from tests.report_cases import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_node.harvest.archive import Archive as Source
    from dicom_node.retrieval import Retrieved, Wanted
    from plugin.volume import Volume

SIZE: dict[str, Any] = {"shape": (24, 64, 64), "spacing": (8.0, 5.5, 5.5)}
DAYS = ("20231231", "20240110", "20240111")
PARTS = ("CHEST", "ABDOMEN", "CHEST")
#: For what does not depend on the archive.
AT_ORTHANC = pytest.mark.parametrize("archive", ["orthanc"], indirect=True)


@dataclass(frozen=True)
class Stored:
    """What an archive holds: two studies with a reader's bookmark, one with a program's."""

    #: The files of each study.
    studies: tuple[tuple[Path, ...], ...]
    #: Study Instance UIDs.
    uids: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        return [path for study in self.studies for path in study]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("stored")
    studies, uids = [], []
    for number in range(3):
        below = folder / str(number)
        volume = _ct(below / "ct", number)
        save(_report(volume, number), below)
        studies.append(tuple(sorted(path for path in below.rglob("*.dcm"))))
        uids.append(str(volume.headers[0].StudyInstanceUID))
    return Stored(tuple(studies), tuple(uids))


def _ct(folder: Path, number: int) -> Volume:
    return chest(
        folder,
        phantom.Spec(seed=number, **SIZE),
        PatientID=f"P{number}",
        StudyDate=DAYS[number],
        BodyPartExamined=PARTS[number],
    )


def _report(volume: Volume, number: int) -> Dataset:
    lesion = mark(volume, index=12)
    return encoded(volume, [lesion]) if number == 2 else by_hand(volume, lesion)


@pytest.fixture(scope="module", params=list(ARCHIVES))
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, stored: Stored
) -> Iterator[Archive]:
    """Each archive in turn with the three studies; our own harvest takes the port of C-MOVE."""
    with ARCHIVES[request.param](tmp_path_factory.mktemp(request.param)) as running:
        running.keep(stored.files)
        running.destination.__exit__()
        yield running


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory, stored: Stored) -> dict[str, bytes]:
    """The data set that the files themselves give."""
    target = tmp_path_factory.mktemp("wanted") / "set"
    with Builder(target, SECRET) as builder:
        for study in stored.studies:
            builder.add_study(study)
        assert builder.finish().bookmarks == 2
    return contents(target)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def configured(folder: Path, archive: Archive | None = None, **keys: Any) -> Path:
    """A configuration with that archive."""
    lines = [
        "[node]", f'state_dir = "{folder}/state"',
        "[listener]", "disk_reserve_mb = 1", "[[listener.sender]]", 'ae_title = "X"',
        "[[destination]]", 'name = "p"', f'host = "{LOOPBACK}"', "port = 104", 'ae_title = "P"',
        "[harvest]", f'ae_title = "{ASKING}"',
        *(f"{key} = {value}" for key, value in keys.items()),
    ]  # fmt: skip
    if archive is not None:
        peer, ours = archive.peer, archive.destination.settings
        lines += [
            "[harvest.peer]", f'host = "{peer.host}"', f"port = {peer.port}",
            f'ae_title = "{peer.ae_title}"',
            "[harvest.destination]", f"port = {ours.port}", f'ae_title = "{TAKING}"',
            "[[harvest.destination.sender]]", f'ae_title = "{peer.ae_title}"',
        ]  # fmt: skip
    folder.mkdir(exist_ok=True)
    path = folder / "config.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def new_target(folder: Path) -> Path:
    """A data set with the secret of these tests, so that names can be compared."""
    target = folder / "set"
    private = folder / "set.private"
    private.mkdir()
    (private / "secret").write_bytes(SECRET)
    return target


def harvest(configuration: Path, target: Path, *arguments: str) -> int:
    return cli.main(["--config", str(configuration), "harvest", str(target), *arguments])


SINCE = ("--pacs", "--from", "2023-12-31", "--to", "2024-01-31")


@pytest.mark.parametrize("by", ["get", "move"])
def test_an_archive_gives_what_was_stored_into_it(
    archive: Archive,
    wanted: dict[str, bytes],
    tmp_path: Path,
    by: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configuration = configured(tmp_path, archive, associations_per_minute="6000.0")
    target = new_target(tmp_path)
    assert harvest(configuration, target, *SINCE, "--by", by) == OK
    assert contents(target) == wanted
    assert "2 bookmarks entered" in capsys.readouterr().out
    assert not (tmp_path / "set.private" / "fetched").exists()


@AT_ORTHANC
def test_a_second_harvest_finds_nothing_new(
    archive: Archive,
    wanted: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configuration = configured(tmp_path, archive, associations_per_minute="6000.0")
    target = new_target(tmp_path)
    for entered in (2, 0):
        assert harvest(configuration, target, *SINCE) == OK
        assert f"{entered} bookmarks entered, 0 were there already" in capsys.readouterr().out
        assert contents(target) == wanted


@AT_ORTHANC
def test_a_harvest_that_is_killed_twice_gives_the_same(
    archive: Archive, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    configuration = configured(tmp_path, archive, by='"move"', associations_per_minute="600.0")
    target = new_target(tmp_path)
    fetched, noted = tmp_path / "set.private" / "fetched", tmp_path / "set.private"
    kill(configuration, target, lambda: len(list(fetched.glob("*/*.dcm"))) > 5)
    assert "DL_info.csv" not in contents(target)
    # As after a power cut: what a killed harvest fetched must not be trusted.
    next(fetched.glob("*/*.dcm")).write_bytes(b"torn")
    kill(configuration, target, lambda: studies_noted(noted))
    assert harvest(configuration, target, *SINCE) == OK
    assert contents(target) == wanted
    assert not fetched.exists()


def kill(configuration: Path, target: Path, when: Callable[[], bool]) -> None:
    """Start a harvest, and end it by SIGKILL at a certain moment."""
    command = [sys.executable, "-m", "dicom_node.cli", "--config", str(configuration)]
    process = subprocess.Popen(
        [*command, "harvest", str(target), *SINCE], stdout=subprocess.DEVNULL
    )
    try:
        wait_until(
            lambda: when() or process.poll() is not None, "the moment", limit_s=60, interval_s=0.01
        )
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        process.kill()
        process.wait()


def studies_noted(private: Path) -> int:
    """How many studies a harvest has done."""
    path = private / "harvest.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'study'")
        if not found.fetchone()[0]:
            return 0
        return int(database.execute("SELECT count(*) FROM study").fetchone()[0])


@AT_ORTHANC
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (SINCE, "3 studies with"),
        (("--pacs", "--from", "2023-12-30", "--to", "2023-12-31"), "1 studies with"),
        ((*SINCE, "--body-part", "chest"), "2 studies with"),
        ((*SINCE, "--modality", "MR"), "0 studies with"),
    ],
)
def test_a_dry_run_says_how_many_studies_there_are(
    archive: Archive,
    tmp_path: Path,
    arguments: tuple[str, ...],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configuration = configured(tmp_path, archive, associations_per_minute="6000.0")
    assert harvest(configuration, tmp_path / "set", *arguments, "--dry-run") == OK
    assert expected in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "state"]


@AT_ORTHANC
def test_only_slices_around_the_key_slice_are_fetched(
    archive: Archive, stored: Stored, tmp_path: Path
) -> None:
    ct = of_ct(stored)
    with opened(archive, tmp_path, slices_around="3") as source:
        candidate = next(each for each in source.candidates() if each.study_uid == stored.uids[0])
        paths = source.fetch(candidate)
        numbers = [dcmread(path).get("InstanceNumber") for path in paths if path.stem in ct]
    assert sorted(numbers) == list(range(10, 17))
    assert len(paths) == 8


@AT_ORTHANC
def test_of_a_study_without_a_bookmark_of_a_person_no_image_is_fetched(
    archive: Archive, stored: Stored, tmp_path: Path
) -> None:
    with opened(archive, tmp_path) as source:
        candidate = next(each for each in source.candidates() if each.study_uid == stored.uids[2])
        assert source.fetch(candidate) == []
        assert len(list((tmp_path / "fetched" / stored.uids[2]).iterdir())) == 1


def of_ct(stored: Stored) -> set[str]:
    return {
        str(header.SOPInstanceUID)
        for path in stored.files
        if (header := dcmread(path, stop_before_pixels=True)).Modality == "CT"
    }


@contextmanager
def opened(
    archive: Archive, folder: Path, first: date = date(2023, 12, 31), **keys: str
) -> Iterator[Source]:
    """The archive as a source, over C-GET."""
    keys = {"associations_per_minute": "6000.0"} | keys
    settings = config.load(configured(folder, archive, **keys))
    logbook = Logbook(folder)
    selection = Selection(first, date(2024, 1, 31))
    with open_archive(
        settings, selection, logbook, folder / "fetched", by=None, stop=Event(), say=print
    ) as source:
        yield source
    logbook.close()


def test_an_archive_that_limits_its_answers_is_asked_about_less(
    stored: Stored, tmp_path: Path
) -> None:
    with orthanc(tmp_path / "orthanc", LimitFindResults=2) as limited:
        limited.keep([path for study in stored.studies for path in study[-3:]])
        with opened(limited, tmp_path / "source") as source:
            assert len(list(source.candidates())) == 3


@AT_ORTHANC
def test_as_many_answers_as_there_may_be_are_taken_for_cut_off(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def find(peer: Any, title: str, queries: list[Dataset], note: Any) -> Iterator[Dataset]:
        asked.extend(str(one.get("StudyDate", "")) for one in queries)
        return query.find(peer, title, queries, note)

    monkeypatch.setattr(source_module, "query", SimpleNamespace(find=find))
    with opened(archive, tmp_path, first=date(2024, 1, 10), most_answers="2") as source:
        assert len(list(source.candidates())) == 2
    assert {day for day in asked if day} >= {"20240110-20240131", "20240110-20240110"}


def test_a_folder_and_the_spool_of_a_node_give_the_same(
    stored: Stored, wanted: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = configured(tmp_path)
    spool = Spool(tmp_path / "state" / "spool")
    for path in stored.files:
        header = dcmread(path, stop_before_pixels=True)
        shelf = Shelf.SERIES if header.Modality == "CT" else Shelf.ASIDE
        spool.add(shelf, header.SeriesInstanceUID, header.SOPInstanceUID, path.read_bytes())
    target = new_target(tmp_path)
    assert harvest(configuration, target, "--node") == OK
    assert contents(target) == wanted
    folder = stored.studies[0][0].parents[1]
    assert harvest(tmp_path / "none", target, "--folder", str(folder)) == OK
    assert "1 more were done before" in capsys.readouterr().out
    assert contents(target) == wanted
    assert harvest(tmp_path / "none", tmp_path / "x", "--folder", str(folder), "--dry-run") == OK
    assert "1 bookmarks of people" in capsys.readouterr().out


def test_the_archive_must_be_configured_and_told_of_dates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harvest(configured(tmp_path), tmp_path / "set", *SINCE) == 2
    assert "harvest.peer: is missing" in capsys.readouterr().err


def test_two_harvests_do_not_fill_one_data_set(
    stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = new_target(tmp_path)
    with (tmp_path / "set.private" / "harvest.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = stored.studies[0][0].parent
        assert harvest(tmp_path / "none", target, "--folder", str(folder)) == FAILED
    assert "another harvest is at work" in capsys.readouterr().err


@AT_ORTHANC
def test_a_harvest_outside_its_hours_waits_until_it_is_stopped(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now()
    later = f"{(now.hour + 3) % 24:02}:00-{(now.hour + 4) % 24:02}:00"
    configuration = configured(tmp_path, archive, hours=f'"{later}"')
    target = new_target(tmp_path)
    began = tmp_path / "set.private" / "harvest.sqlite"

    def stop() -> None:
        wait_until(began.exists, "the harvest", limit_s=60)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = Thread(target=stop)
    stopper.start()
    assert harvest(configuration, target, *SINCE) == STOPPED
    stopper.join()
    said = capsys.readouterr().out
    assert "0 bookmarks entered" in said
    assert "stopped; the next harvest goes on from here" in said


@AT_ORTHANC
def test_a_retrieval_that_the_hours_cut_off_is_made_again(
    archive: Archive, stored: Stored, tmp_path: Path
) -> None:
    with opened(archive, tmp_path) as source:
        whole, series = source._ways.fetch, list[str]()

        def fetch(wanted: Wanted, folder: Path) -> Retrieved:
            series.append(wanted.series_uid)
            return replace(whole(wanted, folder), was_cancelled=len(series) == 1)

        source._ways = replace(source._ways, fetch=fetch)
        candidate = next(each for each in source.candidates() if each.study_uid == stored.uids[0])
        paths = source.fetch(candidate)
    assert series[0] == series[1] != series[2]
    assert len(paths) == len(stored.studies[0])


@AT_ORTHANC
def test_an_archive_that_sends_no_instances_one_by_one_is_asked_for_the_series(
    archive: Archive, stored: Stored, tmp_path: Path
) -> None:
    with opened(archive, tmp_path, slices_around="1") as source:
        whole = source._ways.fetch

        def fetch(wanted: Wanted, folder: Path) -> Retrieved:
            if wanted.sop_instance_uids:
                raise RetrieveRefused("0xA900")
            return whole(wanted, folder)

        source._ways = replace(source._ways, fetch=fetch)
        candidate = next(each for each in source.candidates() if each.study_uid == stored.uids[0])
        assert len(source.fetch(candidate)) == len(stored.studies[0])


@AT_ORTHANC
def test_a_study_that_the_archive_says_nothing_about_is_left_for_later(
    archive: Archive, stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(peer: Any, title: str, queries: list[Dataset], note: Any) -> Iterator[Dataset]:
        if getattr(queries[0], "StudyInstanceUID", "") == stored.uids[0]:
            raise NoAnswer("no answer")
        return query.find(peer, title, queries, note)

    configuration = configured(tmp_path, archive, associations_per_minute="6000.0")
    target = new_target(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(source_module, "query", SimpleNamespace(find=find))
        assert harvest(configuration, target, *SINCE) == FAILED
    assert len((target / "DL_info.csv").read_text().splitlines()) == 2
    assert harvest(configuration, target, *SINCE) == OK
    assert len((target / "DL_info.csv").read_text().splitlines()) == 3


def test_c_move_needs_a_destination(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = configured(tmp_path, by='"move"')
    peer = f'[harvest.peer]\nhost = "{LOOPBACK}"\nport = 104\nae_title = "P"\n'
    configuration.write_text(configuration.read_text() + peer)
    assert harvest(configuration, tmp_path / "set", *SINCE) == 2
    assert "harvest.destination: is missing" in capsys.readouterr().err


def test_an_archive_must_be_told_of_dates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = configured(tmp_path)
    peer = f'[harvest.peer]\nhost = "{LOOPBACK}"\nport = 104\nae_title = "P"\n'
    configuration.write_text(configuration.read_text() + peer)
    assert harvest(configuration, tmp_path / "set", "--pacs") == FAILED
    assert "say --from" in capsys.readouterr().err
