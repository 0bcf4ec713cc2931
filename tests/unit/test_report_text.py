from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

import pytest

from plugin.bookmark import LesionType
from plugin.report import text
from tests.report_cases import bookmark, enhanced, volume

if TYPE_CHECKING:
    from plugin.volume import Volume

SOURCE = volume()


def test_the_label_names_lesion_site_size_and_score() -> None:
    mark = bookmark(SOURCE, long_axis_mm=19.61, short_axis_mm=12.58)
    assert text.label(3, mark) == "Lesion 3: lung 19.6 x 12.6 mm, score 0.41"


def test_a_row_of_the_table_has_a_cell_for_each_head() -> None:
    marks = [
        bookmark(SOURCE, 1),
        bookmark(SOURCE, 2, lesion_type=LesionType.SOFT_TISSUE, score=0.9, mean_hu=-0.3),
    ]
    assert text.table(marks, SOURCE) == [
        ("Lesion 1", "lung", "3", "7.0 x 4.2", "-21", "41%"),
        ("Lesion 2", "soft tissue", "3", "7.0 x 4.2", "0", "90%"),
    ]
    heads = ("Lesion", "Site", "Image", "Long x short (mm)", "Mean (HU)", "Certainty")
    assert heads == text.COLUMNS


def test_the_summary_says_what_was_found_and_that_nobody_reviewed_it() -> None:
    assert text.summary([bookmark(SOURCE)], SOURCE).splitlines() == [
        "CT, series 3: 1 lesion found by software, not reviewed by a radiologist.",
        "Lesion 1 (lung) measures 7.0 x 4.2 mm on image 3, mean -21 HU, volume 0.28 ml, "
        "certainty 41%.",
        "",
        "Lesion    Site  Image  Long x short (mm)  Mean (HU)  Certainty",
        "Lesion 1  lung  3      7.0 x 4.2          -21        41%",
        "",
        "Research use only, not for clinical decisions.",
    ]


def test_the_summary_of_nothing_says_so() -> None:
    lines = text.summary([], volume(SeriesNumber=None)).splitlines()
    assert lines[0] == "CT: No lesion above the threshold of the detector."
    assert lines[-1] == "Research use only, not for clinical decisions."


@pytest.mark.parametrize(
    ("source", "image"),
    [
        (volume(InstanceNumber=57), "57"),
        (volume(InstanceNumber=None), "3"),
        (enhanced(), "3"),
    ],
    ids=["Instance Number", "place among the slices", "frame"],
)
def test_images_are_numbered_as_viewers_do(source: Volume, image: str) -> None:
    mark = bookmark(source)
    assert text.table([mark], source)[0][2] == image
    assert f"on image {image}," in text.summary([mark], source)


def test_what_another_writer_left_out_is_unknown() -> None:
    mark = replace(bookmark(SOURCE), mean_hu=nan, volume_mm3=nan)
    assert text.table([mark], SOURCE)[0][4] == "unknown"
    assert "mean unknown, volume unknown, certainty" in text.summary([mark], SOURCE)
