from __future__ import annotations

from plugin.bookmark import LesionType
from plugin.report import text
from tests.report_cases import bookmark, volume

SOURCE = volume()


def test_the_label_names_lesion_site_size_and_score() -> None:
    mark = bookmark(SOURCE, long_axis_mm=19.61, short_axis_mm=12.58)
    assert text.label(3, mark) == "Lesion 3: lung 19.6 x 12.6 mm, score 0.41"


def test_a_row_of_the_table_has_a_cell_for_each_head() -> None:
    marks = [
        bookmark(SOURCE, 1),
        bookmark(SOURCE, 2, lesion_type=LesionType.SOFT_TISSUE, score=0.9),
    ]
    assert text.table(marks) == [
        ("Lesion 1", "lung", "7.0 x 4.2", "0.41", "2"),
        ("Lesion 2", "soft tissue", "7.0 x 4.2", "0.90", "2"),
    ]
    assert text.COLUMNS == ("Lesion", "Site", "Long x short (mm)", "Score", "Key slice")


def test_the_summary_says_what_was_found_and_that_nobody_reviewed_it() -> None:
    lines = text.summary([bookmark(SOURCE)]).splitlines()
    assert lines == [
        "1 lesion found by software and not reviewed by a radiologist.",
        "Lesion 1 (lung) measures 7.0 x 4.2 mm in slice 2, mean -21 HU, 0.41 ml, certainty 41%.",
        "",
        "Lesion    Site  Long x short (mm)  Score  Key slice",
        "Lesion 1  lung  7.0 x 4.2          0.41   2",
        "",
        "Research use only, not for clinical decisions.",
    ]


def test_the_summary_of_nothing_says_so() -> None:
    lines = text.summary([]).splitlines()
    assert lines[0] == "No lesion above the threshold of the detector."
    assert lines[-1] == "Research use only, not for clinical decisions."
