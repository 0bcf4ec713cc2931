"""DL_info.csv: read strictly, written back equal."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import dist, isfinite, isnan
from typing import TYPE_CHECKING

from plugin.datasets.deeplesion import FIRST_PIXEL, PADDING, UNTYPED, Row, Split
from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

#: The columns of DL_info.csv in their order; a table may have more after them.
COLUMNS = (
    "File_name",
    "Patient_index",
    "Study_index",
    "Series_ID",
    "Key_slice_index",
    "Measurement_coordinates",
    "Bounding_boxes",
    "Lesion_diameters_Pixel_",
    "Normalized_lesion_location",
    "Coarse_lesion_type",
    "Possibly_noisy",
    "Slice_range",
    "Spacing_mm_px_",
    "Image_size",
    "DICOM_windows",
    "Patient_gender",
    "Patient_age",
    "Train_Val_Test",
)
#: Largest disagreement between the two ways in which a row gives a length, pixels.
TOLERANCE = 0.02
#: What stands for an unknown number.
UNKNOWN = "NaN"
_FILE_NAME = re.compile(r"(\d{6,})_(\d{2,})_(\d{2,})_(\d{3,})\.png")


def read_table(path: Path) -> list[Row]:
    """The rows of a table.

    Raises InvalidDataset naming the row, its image and the column: for a wrong header, for rows
    that are cut off or shifted, for what is no number, and for what contradicts itself.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return list(_rows(path, csv.reader(lines, strict=True)))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataset(f"{path}: {error}") from error


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write rows one by one; they must agree in their further columns, else ValueError."""
    further: list[str] | None = None
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        for row in rows:
            names = [name for name, _ in row.further]
            if further is None:
                further = names
                writer.writerow([*COLUMNS, *further])
            if names != further:
                raise ValueError("the rows have different further columns")
            writer.writerow(_texts(row))
        if further is None:
            writer.writerow(COLUMNS)


@dataclass(frozen=True)
class _Cells:
    """The texts of one row, and how to complain about one of them."""

    #: File and row, for messages.
    where: str
    #: Text by column.
    texts: dict[str, str]

    def wrong(self, column: str, why: str) -> InvalidDataset:
        """The error that names row, image, column, text and reason."""
        text = self.texts[column]
        return InvalidDataset(f"{self.where}, {self.texts['File_name']}: {column} {text!r} {why}")

    def integer(self, column: str, allowed: Sequence[int] | None = None) -> int:
        """One whole number."""
        (value,) = self.integers(column, 1)
        if allowed is not None and value not in allowed:
            raise self.wrong(column, f"is not one of {', '.join(map(str, allowed))}")
        return value

    def integers(self, column: str, count: int) -> tuple[int, ...]:
        """Whole numbers that are not negative, but for UNTYPED."""
        values = self.numbers(column, count)
        if any(value != int(value) or value < UNTYPED for value in values):
            raise self.wrong(column, "must hold whole numbers")
        return tuple(int(value) for value in values)

    def numbers(self, column: str, count: int) -> tuple[float, ...]:
        """Finite numbers."""
        values = self._floats(column, count)
        if not all(isfinite(value) for value in values):
            raise self.wrong(column, "must be finite")
        return values

    def numbers_or_none(self, column: str, count: int) -> tuple[float, ...] | None:
        """Finite numbers, or None where all of them are unknown."""
        if self.texts[column] == "" or all(isnan(v) for v in self._floats(column, count)):
            return None
        return self.numbers(column, count)

    def pairs(self, column: str) -> tuple[float, ...]:
        """Finite numbers, two or four or more."""
        count = self.texts[column].count(",") + 1
        if count % 2:
            raise self.wrong(column, "must hold pairs of numbers")
        return self.numbers(column, count)

    def _floats(self, column: str, count: int) -> tuple[float, ...]:
        parts = self.texts[column].split(",")
        if len(parts) != count:
            raise self.wrong(column, f"must hold {count} numbers, not {len(parts)}")
        try:
            return tuple(float(part) for part in parts)
        except ValueError as error:
            raise self.wrong(column, "is not a number") from error


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[Row]:
    try:
        header = next(reader, [])
        if tuple(header[: len(COLUMNS)]) != COLUMNS:
            raise InvalidDataset(f"{path}: the header must begin with {', '.join(COLUMNS)}")
        for number, texts in enumerate(reader, start=1):
            where = f"{path}, row {number}"
            if len(texts) != len(header):
                raise InvalidDataset(f"{where}: has {len(texts)} of {len(header)} columns")
            yield _row(_Cells(where, dict(zip(header, texts, strict=True))))
    except csv.Error as error:
        raise InvalidDataset(f"{path}: {error}") from error


def _row(cells: _Cells) -> Row:
    row = Row(
        file_name=cells.texts["File_name"],
        patient=cells.integer("Patient_index"),
        study=cells.integer("Study_index"),
        series=cells.integer("Series_ID"),
        key_slice=cells.integer("Key_slice_index"),
        measurement=cells.numbers("Measurement_coordinates", 8),
        box=cells.numbers("Bounding_boxes", 4),
        diameters_px=cells.numbers("Lesion_diameters_Pixel_", 2),
        location=cells.numbers_or_none("Normalized_lesion_location", 3),
        coarse_type=cells.integer("Coarse_lesion_type", (UNTYPED, *range(1, 9))),
        possibly_noisy=bool(cells.integer("Possibly_noisy", (0, 1))),
        slice_range=_two(cells.integers("Slice_range", 2)),
        spacing=cells.numbers("Spacing_mm_px_", 3),
        image_size=_two(cells.integers("Image_size", 2)),
        windows=cells.pairs("DICOM_windows"),
        gender=_gender(cells),
        age=_age(cells),
        split=Split(cells.integer("Train_Val_Test", tuple(Split))),
        further=tuple((n, t) for n, t in cells.texts.items() if n not in COLUMNS),
    )
    _check(row, cells)
    return row


def _two(values: tuple[int, ...]) -> tuple[int, int]:
    first, second = values
    return first, second


def _gender(cells: _Cells) -> str:
    text = cells.texts["Patient_gender"]
    if text not in ("M", "F", ""):
        raise cells.wrong("Patient_gender", "is not M, F or empty")
    return text


def _age(cells: _Cells) -> Decimal | None:
    text = cells.texts["Patient_age"]
    if text.lower() in ("", "nan"):
        return None
    try:
        age = Decimal(text)
    except InvalidOperation as error:
        raise cells.wrong("Patient_age", "is not a number") from error
    if not 0 <= age <= 150:
        raise cells.wrong("Patient_age", "is not an age")
    return age


def _check(row: Row, cells: _Cells) -> None:
    """Whether the columns of a row agree with each other."""
    for column, right, why in _rules(row):
        if not right:
            raise cells.wrong(column, why)


def _rules(row: Row) -> Iterator[tuple[str, bool, str]]:
    """Column, whether it is right, and what it must be; geometry is looked at last."""
    indices = (row.patient, row.study, row.series, row.key_slice)
    yield "File_name", _named(row.file_name) == indices, f"does not name {indices}"
    first, last = row.slice_range
    inside = first <= row.key_slice <= last
    yield "Slice_range", inside, f"does not hold the key slice {row.key_slice}"
    yield "Spacing_mm_px_", min(row.spacing) > 0, "must be positive"
    yield "Image_size", min(row.image_size) > 0, "must be positive"
    low, high = row.windows[::2], row.windows[1::2]
    rising = all(a < b for a, b in zip(low, high, strict=True))
    yield "DICOM_windows", rising, "must rise from lower to upper end"
    yield from _geometry(row)


def _geometry(row: Row) -> Iterator[tuple[str, bool, str]]:
    columns, rows = row.measurement[::2], row.measurement[1::2]
    yield "Measurement_coordinates", _within(row, columns, rows, 0.5), "lies outside the image"
    lengths = dist(row.long_axis[0], row.long_axis[1]), dist(row.short_axis[0], row.short_axis[1])
    agree = all(abs(a - b) <= TOLERANCE for a, b in zip(lengths, row.diameters_px, strict=True))
    measured = ", ".join(f"{each:g}" for each in lengths)
    yield "Lesion_diameters_Pixel_", agree, f"is not what Measurement_coordinates give ({measured})"
    column0, row0, column1, row1 = row.box
    held = column0 <= min(columns) and row0 <= min(rows)
    held = held and max(columns) <= column1 and max(rows) <= row1
    yield "Bounding_boxes", held, "does not hold the ends of the axes"
    edges = (column0, column1), (row0, row1)
    yield "Bounding_boxes", _within(row, *edges, 0.5 + PADDING), "lies outside the image"


def _within(row: Row, columns: Sequence[float], rows: Sequence[float], reach: float) -> bool:
    """Whether coordinates lie in the image or not farther than `reach` from its outer pixels."""
    return all(
        FIRST_PIXEL - reach <= min(values) and max(values) <= size + reach
        for values, size in zip((columns, rows), row.image_size, strict=True)
    )


def _named(file_name: str) -> tuple[int, ...] | None:
    """The four numbers of a file name."""
    found = _FILE_NAME.fullmatch(file_name)
    return tuple(map(int, found.groups())) if found else None


def _texts(row: Row) -> list[str]:
    """The cells of a row, in the order of the columns."""
    return [
        row.file_name,
        *map(str, (row.patient, row.study, row.series, row.key_slice)),
        _join(row.measurement),
        _join(row.box),
        _join(row.diameters_px),
        _join(row.location) if row.location else ", ".join([UNKNOWN] * 3),
        str(row.coarse_type),
        str(int(row.possibly_noisy)),
        _join(row.slice_range),
        _join(row.spacing),
        _join(row.image_size),
        _join(row.windows),
        row.gender,
        UNKNOWN if row.age is None else str(row.age),
        str(int(row.split)),
        *(text for _, text in row.further),
    ]


def _join(values: Sequence[float]) -> str:
    return ", ".join(map(_text, values))


def _text(value: float) -> str:
    """Six digits as in the file; all of them where six are not the whole number."""
    short = f"{value:.6g}"
    return short if float(short) == value else repr(float(value))
