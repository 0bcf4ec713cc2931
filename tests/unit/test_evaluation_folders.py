"""`lesionmark evaluate` on folders: what it finds in them, and what it says of wrong ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.marked import Mark, read_marked
from plugin.evaluation import __main__ as command
from plugin.evaluation.cases import lesion_free_series, marked_series
from tests.evaluation_cases import Told, block
from tests.volume_cases import images, written

if TYPE_CHECKING:
    from pathlib import Path

#: Two readers of one lesion, in the middle of the series of tests.volume_cases.
LESIONS: list[dict[str, Any]] = [
    {
        "key_slice": 3,
        "key_bbox_px": [16, 12, 24, 20],
        "recist": {"long_mm": 8.0, "short_mm": 6.0},
        "label": "nodule",
        "group": 1,
    },
    {
        "key_slice": 4,
        "key_bbox_px": [16, 12, 24, 20],
        "recist": {"long_mm": 9.0, "short_mm": 7.0},
        "label": "nodule",
        "group": 1,
    },
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One marked series, and a lesion-free one."""
    written(tmp_path / "series" / "one", images())
    written(tmp_path / "free" / "two", images())
    _describe(tmp_path, [{"series_dir": "series/one", "patient": "P", "lesions": LESIONS}])
    return tmp_path


def _describe(folder: Path, entries: object) -> None:
    (folder / "lesions.json").write_text(json.dumps(entries))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One finding in the lesion, a worse one elsewhere."""
    found = [block(0.9, (3, 12, 16), (2, 8, 8)), block(0.3, (0, 0, 0), (2, 4, 4))]
    monkeypatch.setattr(command, "load", lambda: Told(found))


def test_readers_of_one_lesion_are_one_truth(folder: Path) -> None:
    (case,) = marked_series(folder)
    (truth,) = case.truths(case.volume())
    assert (case.name, case.unit, truth.lesion_type) == ("one", "P", "nodule")
    assert truth.axes_mm == (8.5, 6.5)
    # ORIGIN is (-100, -50, 30); slices 2.5, rows 0.7, columns 0.8 mm apart.
    assert truth.centre == pytest.approx([-100 + 20 * 0.8, -50 + 16 * 0.7, 30 + 3.5 * 2.5])


def test_marks_without_axes_or_group_are_one_lesion_as_large_as_its_boxes(folder: Path) -> None:
    marks = [{"key_slice": 3, "key_bbox_px": [16, 12, 24, 20]}]
    _describe(folder, [{"series_dir": "series/one", "lesions": marks}])
    assert read_marked(folder)[0].marks == (Mark(0, 3, (16, 12, 24, 20), None, "not given"),)
    (case,) = marked_series(folder)
    (truth,) = case.truths(case.volume())
    assert (case.unit, truth.axes_mm, truth.long_mm) == ("one", None, pytest.approx(7.2))


def test_a_series_in_which_readers_found_nothing_is_judged_too(folder: Path) -> None:
    free = {"series_dir": "free/two", "lesions": []}
    _describe(folder, [{"series_dir": "series/one", "lesions": LESIONS}, free])
    cases = marked_series(folder)
    assert [len(case.truths(case.volume())) for case in cases] == [1, 0]


def test_lesion_free_folders_may_hold_one_series_or_several(folder: Path) -> None:
    several = lesion_free_series([folder / "free"])
    (one,) = lesion_free_series([folder / "free" / "two"])
    assert [case.name for case in several] == ["two"] == [one.name]
    assert one.truths(one.volume()) == ()


@pytest.mark.usefixtures("told")
def test_everything_is_printed_written_and_drawn(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plots, record = folder / "new" / "plots", folder / "new" / "figures" / "out.json"
    arguments = ["--data", str(folder), "--negatives", str(folder / "free")]
    assert command.main([*arguments, "--json", str(record), "--plots", str(plots)]) == 0
    printed = capsys.readouterr().out
    assert "told 1, protocol luna16: 1 lesions in 1; false positives counted on 2" in printed
    assert "| one | nodule | 8.5 x 6.5 | 1 | 2 | 0.90 |" in printed
    assert "| two | 1 | 0.90, 0.30 |" in printed
    figures = json.loads(record.read_text())
    assert list(figures) == ["luna16"]
    assert figures["luna16"]["lesions"][0]["patient"] == "P"
    assert sorted(path.name for path in plots.iterdir()) == [
        "luna16-froc.png",
        "luna16-long-axis.png",
        "luna16-precision-recall.png",
        "luna16-short-axis.png",
    ]
    for path in plots.iterdir():
        with Image.open(path) as image:
            grey = image.convert("L")
            assert grey.getextrema()[0] < 60 < 250 < grey.getextrema()[1]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "absent"], "absent: there is no such folder"),
        (["--data", "empty"], "empty: the folder is empty"),
        (["--data", "free"], "free: there is no data for any protocol (nodules/ with"),
        (["--data", "."], "there is no data for the protocol deeplesion (there is for: luna16)"),
        (["--data", ".", "--negatives", "absent"], "absent: there is no such folder"),
        (["--data", ".", "--negatives", "empty"], "empty: the folder is empty"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_before_anything_runs(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder)
    if arguments[-1] == ".":
        arguments = [*arguments, "--protocol", "deeplesion"]
    assert command.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("lesionmark evaluate: ")
    assert said in error


@pytest.mark.usefixtures("told")
def test_an_unreadable_series_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (folder / "series" / "one").iterdir():
        path.write_bytes(b"no DICOM")
    assert command.main(["--data", str(folder)]) == 1
    assert "lesionmark evaluate: one: no CT image" in capsys.readouterr().err


def test_plots_without_matplotlib_are_refused_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        command.main(["--data", str(folder), "--plots", str(folder / "plots")])
    assert ended.value.code == 2
    assert "pip install 'lesionmark[training]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "must be a list of series, not empty"),
        ({}, "must be a list of series, not empty"),
        (["text"], "series 0"),
        ([{"lesions": LESIONS}], "series 0: series_dir is missing"),
        ([{"series_dir": "series/one"}], "series 0: lesions is missing"),
        ([{"series_dir": "series/one", "lesions": []}], "no series has a lesion"),
        ([{"series_dir": "series/one", "lesions": [{}]}], "series 0: key_bbox_px is missing"),
        (
            [{"series_dir": "series/one", "lesions": [{**LESIONS[0], "key_bbox_px": [1, 2]}]}],
            "series 0: not enough values",
        ),
        ([{"series_dir": "series/none", "lesions": LESIONS}], "none: there is no such folder"),
    ],
)
def test_a_wrong_table_is_named_with_its_entry(folder: Path, entries: object, said: str) -> None:
    _describe(folder, entries)
    with pytest.raises(InvalidDataset, match=said.replace("(", r"\(")):
        marked_series(folder)


def test_a_table_that_is_no_json_is_named(folder: Path) -> None:
    (folder / "lesions.json").write_text("[{")
    with pytest.raises(InvalidDataset, match=r"lesions\.json: "):
        marked_series(folder)
