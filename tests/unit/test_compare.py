from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread

from plugin.bookmark import Bookmark, to_record
from plugin.datasets.deeplesion_table import read_table, write_table
from plugin.datasets.phantom import Spec, make
from plugin.evaluation.comparison.__main__ import main
from plugin.evaluation.comparison.marks import Lesion, of_bookmark
from plugin.evaluation.comparison.match import Outcome, pairs
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
    document.save_as(path)


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
    away = bookmark(
        source,
        2,
        box=(40.0, 39.0, 50.0, 45.0),
        long_axis=((40.0, 42.0), (50.0, 42.0)),
        short_axis=((45.0, 39.0), (45.0, 45.0)),
    )
    by_a_person(source, [mark, away], objects)
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
