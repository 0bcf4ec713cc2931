from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    BasicTextSRStorage,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from dicom_node.config_harvest import Harvest
from dicom_node.errors import NoAnswer, NodeError, OutOfSpace
from dicom_node.harvest.archive import around
from dicom_node.harvest.index import Index, look
from dicom_node.harvest.logbook import Candidate, Logbook
from dicom_node.harvest.pace import Pace, Stopped
from dicom_node.harvest.selection import Selection
from dicom_node.harvest.walk import Room, Tally, Walk
from dicom_node.harvest.windows import Window, windows
from dicom_node.hours import Hours
from tests.instances import instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.mark.parametrize(
    ("hours", "now", "opens_in_h"),
    [
        ("00:00-24:00", "12:00", 0),
        ("08:00-10:00", "08:00", 0),
        ("08:00-10:00", "09:59", 0),
        ("08:00-10:00", "10:00", 22),
        ("08:00-10:00", "07:30", 0.5),
        ("19:00-06:30", "23:00", 0),
        ("19:00-06:30", "06:29", 0),
        ("19:00-06:30", "06:30", 12.5),
        ("24:00-06:00", "05:00", 0),
        ("24:00-06:00", "06:00", 18),
    ],
)
def test_hours_open_in_so_many_seconds(hours: str, now: str, opens_in_h: float) -> None:
    moment = datetime.fromisoformat(f"2024-02-29T{now}:00")
    assert Hours.parse(hours).opens_in_s(moment) == opens_in_h * 3600


@pytest.mark.parametrize(
    "text", ["", "8-10", "08:00-25:00", "08:60-10:00", "24:30-06:00", "08:00-08:00"]
)
def test_hours_that_are_none_are_refused_in_the_configuration(text: str) -> None:
    with pytest.raises(ValueError, match="two"):
        Harvest(hours=text)


def test_windows_follow_each_other_without_a_gap() -> None:
    found = list(windows(date(2024, 1, 1), date(2024, 3, 15)))
    assert [w.study_date for w in found] == [
        "20240101-20240130",
        "20240131-20240229",
        "20240301-20240315",
    ]
    assert {w.study_time for w in found} == {""}


def test_halves_of_a_window_make_it_up_down_to_an_hour() -> None:
    month = Window(date(2024, 1, 1), date(2024, 1, 30))
    one, other = month.halves() or pytest.fail("no halves")
    assert (one.study_date, other.study_date) == ("20240101-20240115", "20240116-20240130")
    day = Window(date(2024, 1, 1), date(2024, 1, 1))
    one, other = day.halves() or pytest.fail("no halves")
    assert (one.study_time, other.study_time) == ("000000-115959.999999", "120000-235959.999999")
    assert Window(date(2024, 1, 1), date(2024, 1, 1), (7, 8)).halves() is None


@dataclass
class Clock:
    """A clock that only waiting moves."""

    seconds: float = 0.0
    stops_at: float = float("inf")

    def wait(self, seconds: float) -> bool:
        self.seconds = min(self.seconds + seconds, self.stops_at)
        return self.seconds >= self.stops_at

    def pace(self, hours: str = "00:00-24:00", begin: str = "12:00") -> Pace:
        start = datetime.fromisoformat(f"2024-01-01T{begin}:00")
        return Pace(
            Hours.parse(hours),
            associations_per_minute=6,
            instances_per_minute=60,
            wait=self.wait,
            now=lambda: datetime.fromtimestamp(start.timestamp() + self.seconds),
            clock=lambda: self.seconds,
        )


def test_associations_and_instances_keep_to_their_rate() -> None:
    clock = Clock()
    pace = clock.pace()
    pace.turn()
    assert clock.seconds == 0
    pace.turn()
    assert clock.seconds == pytest.approx(10)
    pace.came(30)
    pace.turn()
    assert clock.seconds == pytest.approx(50)


def test_outside_the_hours_a_turn_waits_for_them() -> None:
    clock = Clock()
    pace = clock.pace("13:00-14:00", begin="12:00")
    assert pace.is_over()
    pace.turn()
    assert clock.seconds == pytest.approx(3600)
    assert not pace.is_over()


def test_who_is_asked_to_stop_has_no_turn() -> None:
    clock = Clock(stops_at=100)
    pace = clock.pace("13:00-14:00", begin="12:00")
    with pytest.raises(Stopped):
        pace.turn()
    assert clock.seconds == 100
    assert pace.is_over()


def answers(*numbers: int | None) -> list[Dataset]:
    found = []
    for uid, number in enumerate(numbers):
        one = Dataset()
        one.SOPInstanceUID, one.InstanceNumber = f"1.{uid}", number
        found.append(one)
    return found


@pytest.mark.parametrize(
    ("numbers", "keys", "count", "expected"),
    [
        ((5, 3, 1, 2, 4), {"1.1"}, 1, ["1.3", "1.1", "1.4"]),
        ((5, 3, 1, 2, 4), {"1.0"}, 1, ["1.4", "1.0"]),
        ((1, 2, 3, 4, 5), {"1.0", "1.4"}, 1, ["1.0", "1.1", "1.3", "1.4"]),
        ((1, 2, 3), {"1.1"}, 0, ["1.1"]),
        ((1, None, 3), {"1.0"}, 1, []),
        ((1, 2, 3), {"1.9"}, 1, []),
        ((), {"1.9"}, 1, []),
    ],
)
def test_slices_around_are_told_by_their_instance_numbers(
    numbers: tuple[int | None, ...], keys: set[str], count: int, expected: list[str]
) -> None:
    assert around(answers(*numbers), keys, count) == expected


def written(folder: Path, number: int, **changes: Any) -> Path:
    """One instance in a study of its own, unless `changes` name one."""
    found = instance(generate_uid(), generate_uid(), number)
    found.StudyDate, found.BodyPartExamined = "20240229", "CHEST"
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    path = folder / f"{number:03}.dcm"
    found.save_as(path, enforce_file_format=True)
    return path


def as_it_is(path: Path) -> None:
    """Explicit VR Little Endian, as it was written."""


def implicit(path: Path) -> None:
    found = dcmread(path)
    found.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    found.save_as(path, implicit_vr=True, little_endian=True)


def packed(path: Path) -> None:
    found = dcmread(path)
    found.compress(RLELossless, generate_instance_uid=False)
    found.save_as(path)


@pytest.mark.parametrize("encode", [as_it_is, implicit, packed])
def test_the_first_elements_are_read_in_every_encoding(
    tmp_path: Path, encode: Callable[[Path], None]
) -> None:
    path = written(tmp_path, 1)
    encode(path)
    found = dcmread(path)
    looked = look(path)
    assert looked is not None
    assert looked.uid == found.SOPInstanceUID
    assert (looked.day, looked.modality, looked.body_part) == ("20240229", "CT", "CHEST")
    assert (looked.study_uid, looked.series_uid) == (
        found.StudyInstanceUID,
        found.SeriesInstanceUID,
    )
    assert not looked.is_object


def test_what_is_no_instance_of_ours_is_passed_over(tmp_path: Path) -> None:
    whole = written(tmp_path, 1)
    (tmp_path / "cut.dcm").write_bytes(whole.read_bytes()[:300])
    (tmp_path / "text.txt").write_text("no DICOM")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    written(tmp_path, 2, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    index = Index(tmp_path / "index.sqlite")
    scanned = index.scan([tmp_path])
    index.close()
    assert (scanned.objects, scanned.images) == (0, 1)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """Two studies with an SR and CT, one of 2023, and one with CT only."""
    folder = tmp_path / "files"
    folder.mkdir()
    for study, day in (("1.1", "20231231"), ("1.2", "20240229")):
        number = int(study[-1]) * 10
        written(folder, number, StudyInstanceUID=study, StudyDate=day, SeriesInstanceUID="1.9")
        written(
            folder,
            number + 1,
            StudyInstanceUID=study,
            SOPClassUID=BasicTextSRStorage,
            Modality="SR",
        )
    written(folder, 50, StudyInstanceUID="1.3")
    made = Index(tmp_path / "index.sqlite")
    made.scan([folder])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("selection", "studies"),
    [
        (Selection(), ["1.1", "1.2"]),
        (Selection(first=date(2024, 1, 1)), ["1.2"]),
        (Selection(last=date(2023, 12, 31)), ["1.1"]),
        (Selection(body_part="CHEST"), ["1.1", "1.2"]),
        (Selection(body_part="HEAD"), []),
        (Selection(modality="MR"), []),
    ],
)
def test_studies_are_selected_by_their_images(
    index: Index, selection: Selection, studies: list[str]
) -> None:
    assert [each.study_uid for each in index.candidates(selection)] == studies


def test_a_study_has_objects_and_images(index: Index) -> None:
    assert [path.name for path in index.objects("1.1")] == ["011.dcm"]
    assert [path.name for path in index.images("1.1", "1.9")] == ["010.dcm"]
    assert index.images("1.1", "1.8") == []


def test_a_study_that_has_grown_has_another_signature(index: Index, tmp_path: Path) -> None:
    before = list(index.candidates(Selection()))
    written(tmp_path / "files", 60, StudyInstanceUID="1.1")
    again = Index(tmp_path / "again.sqlite")
    again.scan([tmp_path / "files", tmp_path / "files"])
    after = list(again.candidates(Selection()))
    again.close()
    assert before[0].signature != after[0].signature
    assert before[1] == after[1]


@dataclass
class FakeSource:
    """Studies that give what a test says."""

    studies: list[str]
    faults: dict[str, Exception] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)

    def candidates(self) -> Iterator[Candidate]:
        return (Candidate(uid, "s") for uid in self.studies)

    def fetch(self, candidate: Candidate) -> list[Any]:
        if candidate.study_uid in self.faults:
            raise self.faults[candidate.study_uid]
        return [candidate.study_uid]

    def forget(self, candidate: Candidate) -> None:
        self.forgotten.append(candidate.study_uid)


@dataclass
class FakeDataset:
    """Takes one bookmark from each study."""

    added: list[Any] = field(default_factory=list)
    finished: int = 0

    def add_study(self, paths: Any) -> Any:
        self.added += paths
        return SimpleNamespace(new=1, known=0, left_out=[SimpleNamespace(instance="1", reason="r")])

    def finish(self) -> str:
        self.finished += 1
        return "summary"


def walk(source: FakeSource, dataset: FakeDataset, folder: Path, **keys: Any) -> Tally:
    logbook = Logbook(folder)
    try:
        return Walk(source, logbook, dataset, Room(folder, keys.pop("reserve", 0)), **keys).go()
    finally:
        logbook.close()


def test_a_study_is_done_once_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    source, dataset = FakeSource(["1", "2", "3"], {"2": NoAnswer("no")}), FakeDataset()
    tally = walk(source, dataset, tmp_path)
    assert (tally.new, tally.failed, tally.left_out, tally.summary) == (2, 1, {"r": 2}, "summary")
    source.faults.clear()
    again = walk(source, dataset, tmp_path)
    assert dataset.added == ["1", "3", "2"]
    assert (again.new, again.done_before) == (1, 2)
    assert source.forgotten == ["1", "2", "3", "2"]


def test_an_archive_that_answers_no_more_is_left_alone(tmp_path: Path) -> None:
    studies = [str(number) for number in range(9)]
    source = FakeSource(studies, {uid: NoAnswer("gone") for uid in studies[1:]})
    dataset = FakeDataset()
    with pytest.raises(NodeError, match="5 studies in a row could not be fetched"):
        walk(source, dataset, tmp_path)
    assert (dataset.added, dataset.finished) == (["0"], 1)


def test_whoever_stops_a_harvest_gets_its_tables(tmp_path: Path) -> None:
    dataset = FakeDataset()
    tally = walk(FakeSource(["1", "2"]), dataset, tmp_path, is_stopped=lambda: bool(dataset.added))
    assert (tally.was_stopped, dataset.added, dataset.finished) == (True, ["1"], 1)


def test_a_full_disk_stops_a_harvest_before_it_fetches(tmp_path: Path) -> None:
    dataset = FakeDataset()
    with pytest.raises(OutOfSpace, match="MiB free"):
        walk(FakeSource(["1"]), dataset, tmp_path, reserve=1 << 62)
    assert (dataset.added, dataset.finished) == ([], 1)


def test_the_logbook_remembers_for_its_owner_only(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path)
    logbook.note(Candidate("1.2", "a"))
    logbook.note(Candidate("1.3", "a"), "no answer")
    logbook.note_asked("CT 2024")
    logbook.close()
    again = Logbook(tmp_path)
    assert again.is_done(Candidate("1.2", "a"))
    assert not again.is_done(Candidate("1.2", "b"))
    assert not again.is_done(Candidate("1.3", "a"))
    assert again.failed() == ["1.3"]
    assert again.is_asked("CT 2024")
    again.forget_windows()
    again.forget("1.3")
    assert not again.is_asked("CT 2024")
    assert again.failed() == []
    again.close()
    assert (tmp_path / "harvest.sqlite").stat().st_mode & 0o077 == 0
