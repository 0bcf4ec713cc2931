"""DL_info.csv: written back equal, and every kind of broken row named."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.datasets.deeplesion_table import COLUMNS, read_table, write_table
from plugin.datasets.errors import InvalidDataset
from tests.deeplesion_cases import ROWS, row

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.datasets.deeplesion import Row

#: Columns that hold numbers which must be known.
NUMBERS = [name for name in COLUMNS if name not in {
    "File_name", "Normalized_lesion_location", "Patient_gender", "Patient_age",
}]  # fmt: skip


def _cells(rows: list[Row]) -> list[list[str]]:
    """The table that rows make, header first."""
    with TemporaryDirectory() as folder:
        path = _path(folder)
        write_table(path, rows)
        with path.open(newline="") as lines:
            return list(csv.reader(lines))


def _read(cells: list[list[str]]) -> list[Row]:
    with TemporaryDirectory() as folder:
        path = _path(folder)
        with path.open("w", newline="") as lines:
            csv.writer(lines).writerows(cells)
        return read_table(path)


def _path(folder: str) -> Path:
    from pathlib import Path

    return Path(folder, "DL_info.csv")


def _with(column: str, text: str) -> list[list[str]]:
    """A table of two rows with one cell of the second one changed."""
    cells = _cells([row(), row(patient=13)])
    cells[2][COLUMNS.index(column)] = text
    return cells


@settings(deadline=None, max_examples=60)
@given(st.lists(ROWS, max_size=4))
def test_rows_come_back_equal(rows: list[Row]) -> None:
    assert _read(_cells(rows)) == rows


def test_columns_beyond_the_eighteen_are_kept(tmp_path: Path) -> None:
    more = replace(row(), further=(("Nifti_ct_name", "a.nii.gz"), ("Remark", "b, c")))
    write_table(tmp_path / "t.csv", [more, more])
    assert read_table(tmp_path / "t.csv") == [more, more]
    with pytest.raises(ValueError, match="different further columns"):
        write_table(tmp_path / "t.csv", [more, row()])


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(NUMBERS), st.sampled_from(["NaN", "inf", "", "abc", "1, 2, 3, 4, 5"]))
def test_a_cell_that_is_no_number_is_named(column: str, text: str) -> None:
    with pytest.raises(InvalidDataset, match=rf"row 2, 000013_01_02_004\.png: {column} "):
        _read(_with(column, text))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 7), st.integers(0, 7))
def test_a_nan_among_the_coordinates_is_named(at: int, other: int) -> None:
    points = ["24", "30", "34", "30", "29", "27", "29", "33"]
    points[at], points[other] = "NaN", "nan"
    with pytest.raises(InvalidDataset, match=r"Measurement_coordinates .* must be finite"):
        _read(_with("Measurement_coordinates", ", ".join(points)))


@pytest.mark.parametrize("at", range(len(COLUMNS)))
def test_a_missing_cell_is_named(at: int) -> None:
    cells = _cells([row(), row(patient=13)])
    del cells[2][at]
    with pytest.raises(InvalidDataset, match="row 2: has 17 of 18 columns"):
        _read(cells)


@pytest.mark.parametrize("at", range(len(COLUMNS) - 2))
def test_shifted_columns_are_named(at: int) -> None:
    cells = _cells([row(), row(patient=13)])
    # As many cells as columns; an age that becomes another age cannot be told.
    cells[2] = [*cells[2][:at], *cells[2][at + 1 :], "3"]
    with pytest.raises(InvalidDataset, match="row 2, "):
        _read(cells)


@settings(deadline=None, max_examples=100)
@given(st.lists(ROWS, min_size=1, max_size=3), st.data())
def test_a_truncated_table_is_refused_or_gives_its_whole_rows(
    rows: list[Row], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = _path(folder)
        write_table(path, rows)
        text = path.read_bytes()
        path.write_bytes(text[: data.draw(st.integers(0, len(text) - 2))])
        with suppress(InvalidDataset):
            read = read_table(path)
            assert read == rows[: len(read)]
            assert len(read) < len(rows)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["left", "above", "right", "below"]), st.floats(0.51, 300))
def test_axes_outside_the_image_are_named(side: str, away: float) -> None:
    # 64 columns and 48 rows: pixel centres from 1 to 64 and 48, edges half a pixel further.
    x, y = {
        "left": (1 - away, 30.0),
        "above": (30.0, 1 - away),
        "right": (64 + away, 30.0),
        "below": (30.0, 48 + away),
    }[side]
    outside = row((x, y, 30.0, 31.0, 30.0, 27.0, 31.0, 33.0))
    with pytest.raises(InvalidDataset, match=r"Measurement_coordinates .* outside the image"):
        _read(_cells([outside]))


@pytest.mark.parametrize(
    "box", ["19, 22, 80, 38", "-50, 22, 39, 38", "19, -9, 39, 38", "19, 22, 39, 60"]
)
def test_a_box_outside_the_image_is_named(box: str) -> None:
    with pytest.raises(InvalidDataset, match=r"Bounding_boxes .* lies outside the image"):
        _read(_with("Bounding_boxes", box))


def test_a_box_may_reach_out_of_the_image_by_its_padding() -> None:
    at_the_edge = row((1.0, 30.0, 11.0, 30.0, 6.0, 27.0, 6.0, 33.0))
    assert at_the_edge.box[0] == -4
    assert _read(_cells([at_the_edge])) == [at_the_edge]


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("File_name", "000013_01_02_005.png", "does not name (13, 1, 2, 4)"),
        ("File_name", "000013_01_02_004.jpg", "does not name"),
        ("Key_slice_index", "4.5", "must hold whole numbers"),
        ("Patient_index", "-13", "must hold whole numbers"),
        ("Slice_range", "5, 9", "does not hold the key slice 4"),
        ("Slice_range", "3", "must hold 2 numbers, not 1"),
        ("Bounding_boxes", "25, 22, 39, 38", "does not hold the ends of the axes"),
        ("Lesion_diameters_Pixel_", "6, 10", "is not what Measurement_coordinates give (10, 6)"),
        ("Normalized_lesion_location", "0.5, NaN, 0.5", "must be finite"),
        ("Coarse_lesion_type", "9", "is not one of -1, 1, 2"),
        ("Coarse_lesion_type", "0", "is not one of -1, 1, 2"),
        ("Possibly_noisy", "2", "is not one of 0, 1"),
        ("Spacing_mm_px_", "0.8, 0, 2.5", "must be positive"),
        ("Image_size", "0, 48", "must be positive"),
        ("DICOM_windows", "275, -175", "must rise"),
        ("DICOM_windows", "275", "must hold pairs"),
        ("Patient_gender", "62.0", "is not M, F or empty"),
        ("Patient_age", "old", "is not a number"),
        ("Patient_age", "620", "is not an age"),
        ("Train_Val_Test", "4", "is not one of 1, 2, 3"),
    ],
)
def test_what_contradicts_itself_is_named(column: str, text: str, said: str) -> None:
    complaint = f"DL_info.csv, row 2, .*: {column} {re.escape(repr(text))} {re.escape(said)}"
    with pytest.raises(InvalidDataset, match=complaint):
        _read(_with(column, text))


@pytest.mark.parametrize("text", ["NaN", "nan", ""])
def test_an_unknown_age_is_none(text: str) -> None:
    assert _read(_with("Patient_age", text))[1].age is None


@pytest.mark.parametrize("text", ["NaN, NaN, NaN", ""])
def test_an_unknown_place_is_none(text: str) -> None:
    assert _read(_with("Normalized_lesion_location", text))[1].location is None


@pytest.mark.parametrize("change", ["swap", "drop", "rename"])
def test_a_wrong_header_is_named(change: str) -> None:
    cells = _cells([row()])
    header = cells[0]
    if change == "swap":
        header[5], header[6] = header[6], header[5]
    if change == "drop":
        del header[3], cells[1][3]
    if change == "rename":
        header[0] = "file"
    with pytest.raises(InvalidDataset, match="the header must begin with File_name, Patient"):
        _read(cells)


def test_files_that_are_no_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "image.csv").write_bytes(bytes(range(256)))
    for name in ("absent.csv", "empty.csv", "image.csv"):
        with pytest.raises(InvalidDataset, match=name):
            read_table(tmp_path / name)


def test_the_official_test_split_is_written_back_byte_for_byte(data: Path, tmp_path: Path) -> None:
    official = data / "deeplesion" / "annotations" / "DL_info_test_split.csv"
    rows = read_table(official)
    assert len(rows) == 4927
    write_table(tmp_path / "again.csv", rows)
    assert (tmp_path / "again.csv").read_bytes() == official.read_bytes()
