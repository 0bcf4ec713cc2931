from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from plugin import Kind
from plugin.bookmark import Bookmark, to_record
from plugin.datasets.deeplesion_table import read_table, write_table
from plugin.datasets.phantom import Spec, make
from plugin.evaluation.comparison.__main__ import main
from plugin.evaluation.comparison.marks import Lesion, of_bookmark
from plugin.evaluation.comparison.match import Outcome, pairs
from plugin.uids import derive
from plugin.volume import read as read_volume
from tests.report_authors import without_program
from tests.report_cases import bookmark, made, shared_data, written

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.volume import Volume


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Volume]:
    folder = tmp_path_factory.mktemp("chest")
    make(folder, Spec(shape=(8, 64, 64), spacing=(2.5, 4.0, 4.0)))
    return folder, read_volume(folder.iterdir())


def lesion(x: float, diameter: float, score: float = 1.0, size: float = 10.0) -> Lesion:
    return Lesion(np.array([x, 0.0, 0.0]), diameter, (size, size / 2), "lung", score, ())


def test_a_lesion_matches_the_best_whose_centre_lies_within_its_radius() -> None:
    near, better, outside = lesion(4.9, 1, 0.5), lesion(-3, 1, 0.9), lesion(5.1, 1, 0.99)
    truth = lesion(0, 10, size=12.0)
    found = pairs("scan", [truth, lesion(50, 10)], [near, better, outside])
    assert [pair.outcome for pair in found] == [Outcome.MATCHED, Outcome.MISSED, Outcome.EXTRA]
    assert (found[0].ai, found[2].ai) == (better, outside)
    assert found[0].differences_mm == (-2.0, -1.0)
    assert found[1].differences_mm is None


def test_of_lesions_side_by_side_each_has_its_own() -> None:
    """Both findings lie within the radius of both lesions."""
    left, right = lesion(0, 20), lesion(8, 20)
    best, second = lesion(1, 20, 0.9), lesion(7, 20, 0.8)
    found = pairs("scan", [right, left], [second, best])
    assert [pair.ai.score for pair in found if pair.ai] == [0.8, 0.9]
    # One finding may be on both.
    found = pairs("scan", [right, left], [best])
    assert [pair.ai.score for pair in found if pair.ai] == [0.9, 0.9]


def test_a_scan_on_which_the_ai_found_nothing_has_only_missed_lesions() -> None:
    assert [pair.outcome for pair in pairs("scan", [lesion(0, 10)], [])] == [Outcome.MISSED]
    assert [pair.outcome for pair in pairs("scan", [], [lesion(0, 10)])] == [Outcome.EXTRA]


def test_the_centre_of_a_bookmark_lies_halfway_through_it(chest: tuple[Path, Volume]) -> None:
    source = chest[1]
    mark = bookmark(source, slice_index=2, slice_range=(1, 6))
    assert of_bookmark(mark, source).centre == pytest.approx(
        source.to_patient(np.array([3.5, 20.0, 15.0]))
    )


def by_a_person(source: Volume, marks: list[Bookmark], folder: Path) -> None:
    """A report of ours as if a viewer had written it."""
    (path,) = written(folder, [made(source, marks)[0]])
    document = without_program(dcmread(path))
    uid = derive("by a person", document.SOPInstanceUID)
    document.SOPInstanceUID = document.file_meta.MediaStorageSOPInstanceUID = uid
    document.save_as(path)


def elsewhere(source: Volume) -> Bookmark:
    return bookmark(
        source,
        2,
        box=(40.0, 39.0, 50.0, 45.0),
        long_axis=((40.0, 42.0), (50.0, 42.0)),
        short_axis=((45.0, 39.0), (45.0, 45.0)),
    )


def on_slice(source: Volume, index: int, number: int = 1) -> Bookmark:
    place = source.slices[index].sop_instance_uid
    placed = {"sop_instance_uid": place, "slice_index": index, "slice_range": (index, index)}
    return bookmark(source, number, **placed)


def run(*arguments: object) -> int:
    return main([str(each) for each in arguments])


def test_both_sides_may_lie_in_one_folder(
    chest: tuple[Path, Volume], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a PACS: images, our report and a person's, told apart by their authors."""
    folder, source = chest
    objects = tmp_path / "objects"
    objects.mkdir()
    mark = bookmark(source)
    by_a_person(source, [mark, elsewhere(source)], objects)
    longer = replace(mark, long_axis=((10.0, 20.0), (20.75, 20.0)), long_axis_mm=43.0)
    ours = replace(longer, score=0.8, box=(10.0, 17.0, 21.0, 23.0))
    ours_path = tmp_path / "ours"
    ours_path.mkdir()
    (report,) = written(ours_path, [made(source, [ours])[0]])
    report.rename(objects / "ours.dcm")

    output = tmp_path / "out"
    assert run(objects, objects, "--series", folder, "--output", output) == 0
    with (output / "lesions.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["outcome"] for row in rows] == ["matched", "missed"]
    assert rows[0]["long_difference_mm"] == "3.00"
    assert (rows[0]["radiologist_slice"], rows[0]["ai_score"]) == (str(mark.slice_index), "0.8000")
    assert {path.name for path in output.iterdir()} == {
        "lesions.csv",
        "long-axis.png",
        "short-axis.png",
        "index.html",
    }
    page = (output / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 2 + 2
    assert "http" not in page
    assert "1 bookmarks are the other side&#x27;s" in page
    assert "matched: 1\nmissed: 1\nextra: 0\n" in capsys.readouterr().out


def test_a_lesion_in_a_report_and_in_graphics_counts_once(
    chest: tuple[Path, Volume], tmp_path: Path
) -> None:
    """As our node sends it; what the report says of it counts."""
    folder, source = chest
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for each in (ours, theirs):
        each.mkdir()
    mark = bookmark(source, score=0.8)
    by_a_person(source, [elsewhere(source)], theirs)
    written(ours, [made(source, [mark])[0]])
    (report,) = ours.iterdir()
    report.rename(ours / "z.dcm")
    written(ours, made(source, [mark], Kind.PRESENTATION_STATE))
    assert run(ours, theirs, "--series", folder, "--output", tmp_path / "out") == 0
    with (tmp_path / "out" / "lesions.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    told = [(row["outcome"], row["ai_score"]) for row in rows]
    assert told == [("missed", ""), ("extra", "0.8000")]
    assert "1 bookmarks are in another object too" in (tmp_path / "out" / "index.html").read_text()


def test_a_report_that_is_replaced_does_not_count(
    chest: tuple[Path, Volume], tmp_path: Path
) -> None:
    folder, source = chest
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    by_a_person(source, [bookmark(source)], theirs)
    (old,) = (dcmread(path) for path in theirs.iterdir())
    new = dcmread(next(theirs.iterdir()))
    new.SOPInstanceUID = new.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    moved = on_slice(source, 5, 2)
    new.ContentSequence = made(source, [moved])[0].ContentSequence
    without_program(new)
    replaced, series, study = Dataset(), Dataset(), Dataset()
    replaced.ReferencedSOPClassUID = old.SOPClassUID
    replaced.ReferencedSOPInstanceUID = old.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = old.SeriesInstanceUID, [replaced]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = old.StudyInstanceUID, [series]
    new.PredecessorDocumentsSequence = [study]
    new.save_as(theirs / "new.dcm")
    nothing = tmp_path / "none.json"
    nothing.write_text("[]")
    assert run(nothing, theirs, "--series", folder, "--output", tmp_path / "out") == 0
    with (tmp_path / "out" / "lesions.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    assert row["radiologist_slice"] == "5"


def test_a_bookmark_lies_on_its_slice_where_the_volume_leaves_others_out(
    chest: tuple[Path, Volume], tmp_path: Path
) -> None:
    """A slice that was made twice is in the series and not in the volume."""
    folder, source = chest
    series, theirs = tmp_path / "series", tmp_path / "theirs"
    series.mkdir()
    theirs.mkdir()
    for path in folder.iterdir():
        (series / path.name).write_bytes(path.read_bytes())
    again = dcmread(min(series.iterdir()))
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    again.AcquisitionNumber, again.InstanceNumber = 2, 99
    again.save_as(series / "again.dcm")
    last = len(source.slices) - 1
    by_a_person(source, [on_slice(source, last)], theirs)
    nothing = tmp_path / "none.json"
    nothing.write_text("[]")
    assert run(nothing, theirs, "--series", series, "--output", tmp_path / "out") == 0
    with (tmp_path / "out" / "lesions.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    assert row["radiologist_slice"] == str(last)


def test_bookmarks_as_json_are_a_side(chest: tuple[Path, Volume], tmp_path: Path) -> None:
    folder, source = chest
    mark = bookmark(source)
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    ours.write_text(json.dumps([to_record(replace(mark, short_axis_mm=20.0))]))
    theirs.write_text(json.dumps([to_record(replace(mark, short_axis_mm=24.5))]))
    assert run(ours, theirs, "--series", folder, "--output", tmp_path) == 0
    with (tmp_path / "lesions.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    assert (row["outcome"], row["short_difference_mm"]) == ("matched", "-4.50")


def test_tables_of_deeplesion_are_compared_without_images(tmp_path: Path) -> None:
    table = shared_data("deeplesion", "annotations", "DL_info_test_split.csv")
    rows = read_table(table)[:40]
    write_table(tmp_path / "theirs.csv", rows)
    write_table(tmp_path / "ours.csv", rows[10:])
    assert run(tmp_path / "ours.csv", tmp_path / "theirs.csv", "--output", tmp_path) == 0
    with (tmp_path / "lesions.csv").open() as lines:
        outcomes = [row["outcome"] for row in csv.DictReader(lines)]
    assert (outcomes.count("matched"), outcomes.count("missed")) == (30, 10)
    assert "The images are not at hand." in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file or folder"),
        ("[", "Expecting value"),
        ("[{}]", "bookmark 0: box is missing"),
        ("[]", "nothing to compare"),
    ],
    ids=["missing", "cut off", "without keys", "empty"],
)
def test_a_broken_side_is_named(
    content: str | None,
    message: str,
    chest: tuple[Path, Volume],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "marks.json"
    if content is not None:
        path.write_text(content)
    assert run(path, path, "--series", chest[0], "--output", tmp_path) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"lesionmark compare: {path}")
    assert message in said


def test_one_side_alone_needs_a_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(tmp_path)
    assert ended.value.code == 2
    assert "or --series and RADIOLOGIST_SOURCE" in capsys.readouterr().err
