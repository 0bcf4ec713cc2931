from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from plugin.datasets.phantom import Spec, make
from plugin.evaluation.atlas.__main__ import main
from plugin.evaluation.atlas.lesions import read_lesions
from plugin.evaluation.atlas.page import summary
from plugin.evaluation.slices import SIDE, Drawn, picture
from tests.report_cases import shared_data

if TYPE_CHECKING:
    from pathlib import Path

RED = (255, 0, 0)


def run(*arguments: object) -> int:
    return main([str(each) for each in arguments])


def test_the_test_split_of_deeplesion_has_an_atlas(tmp_path: Path) -> None:
    table = shared_data("deeplesion", "annotations", "DL_info_test_split.csv")
    assert run(table, "--output", tmp_path) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"atlas.png", "sizes.png", "types.png", "index.html"}
    page = (tmp_path / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "<td>lung</td><td>1100</td>" in page
    assert "The images are not at hand." in page


def test_what_a_data_set_holds_is_counted() -> None:
    lesions = read_lesions(shared_data("deeplesion", "annotations", "DL_info_test_split.csv"))
    figures = dict(summary(lesions))
    assert (figures["lesions"], figures["patients"]) == ("4927", "665")
    liver = [each.location for each in lesions if each.label == "liver" and each.location]
    # The liver lies on the patient's right, between lungs and pelvis.
    x, _, z = np.median(liver, axis=0)
    assert 0.2 < x < 0.4
    assert 0.55 < z < 0.7


def test_key_slices_of_deeplesion_are_on_the_sheet(tmp_path: Path) -> None:
    assert run(shared_data("deeplesion"), "--output", tmp_path, "--pictures", "2") == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * SIDE, SIDE)


def test_marked_series_are_on_the_sheet(tmp_path: Path) -> None:
    make(tmp_path / "scan", Spec(shape=(6, 64, 64), spacing=(2.5, 4.0, 4.0)))
    mark = {"key_slice": 2, "key_bbox_px": [10, 10, 20, 20], "label": "lung nodule"}
    broken = mark | {"key_slice": 6}
    entry = {"series_dir": "scan", "lesions": [mark, broken]}
    (tmp_path / "lesions.json").write_text(json.dumps([entry]))
    assert run(tmp_path, "--output", tmp_path / "out") == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "scan, slice 2: lung nodule" in page
    assert "there is no slice 6" in page
    assert not (tmp_path / "out" / "atlas.png").exists()


@pytest.mark.parametrize(("spacing", "wide"), [((1.0, 1.0), 20), ((2.0, 1.0), 20)])
def test_a_picture_shows_what_was_drawn_where_it_was(
    spacing: tuple[float, float], wide: int
) -> None:
    hu = np.full((80, 80), -1000, np.float32)
    hu[30:50, 30:50] = 1000
    png = picture(hu, spacing, [Drawn((30.0, 30.0, 49.0, 49.0), (), RED)], "liver")
    with Image.open(BytesIO(png)) as image:
        shown = np.asarray(image)
    assert shown.shape == (SIDE, SIDE, 3)
    edge = (shown == RED).all(axis=-1)
    rows, columns = np.flatnonzero(edge.any(axis=1)), np.flatnonzero(edge.any(axis=0))
    height, width = np.ptp(rows), np.ptp(columns)
    assert height / width == pytest.approx(spacing[0] / spacing[1], abs=0.03)
    assert width == pytest.approx(wide * SIDE / 96, abs=1)
    bright_rows, bright_columns = np.nonzero(shown.min(axis=-1) > 128)
    assert abs(bright_rows.min() - rows[0]) <= 2 >= abs(bright_rows.max() - rows[-1])
    assert abs(bright_columns.min() - columns[0]) <= 2 >= abs(bright_columns.max() - columns[-1])


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent", "there is no such file or folder"), (".", "there is neither lesions.json nor")],
)
def test_a_folder_without_a_data_set_is_named(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / name, "--output", tmp_path / "out") == 1
    assert message in capsys.readouterr().err
