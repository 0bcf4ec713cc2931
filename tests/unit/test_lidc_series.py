"""LIDC-IDRI beside its series: what counts as a nodule, and what is neither right nor wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.lidc_series import consensus_masks, other_places, read_series
from plugin.evaluation.lidc_cases import read_by_all
from plugin.volume import read
from tests import training_cases as cases

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.volume import Volume

#: Readers who saw nothing.
NOBODY = "<readingSession/>"


def _volume(folder: Path) -> Volume:
    return read((folder / "series" / "one").iterdir())


def _edit(folder: Path, old: str, new: str) -> None:
    path = folder / "lidc" / "1.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_nodule_of_half_of_the_readers_is_a_lesion(tmp_path: Path) -> None:
    cases.lidc(tmp_path, readers=2)
    _edit(tmp_path, "</LidcReadMessage>", f"{NOBODY * 2}</LidcReadMessage>")
    (case,) = read_by_all(tmp_path)
    (truth,) = case.truths(case.volume())
    assert truth.long_mm == pytest.approx(cases.DIAMETER_MM, abs=1.0)
    expected = (cases.affine() @ [*cases.CENTRE, 1.0])[:3]
    assert truth.centre == pytest.approx(expected, abs=0.3)
    assert case.irrelevant(case.volume()) == ()


def test_a_nodule_of_fewer_readers_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    cases.lidc(tmp_path, readers=1)
    _edit(tmp_path, "</LidcReadMessage>", f"{NOBODY * 2}</LidcReadMessage>")
    (case,) = read_by_all(tmp_path)
    assert case.truths(case.volume()) == ()
    places = case.irrelevant(case.volume())
    expected = (cases.affine() @ [*cases.CENTRE, 1.0])[:3]
    assert places[len(places) // 2].centre == pytest.approx(expected, abs=1.5)


def test_points_and_other_findings_are_places(tmp_path: Path) -> None:
    cases.lidc(tmp_path)
    uid = _volume(tmp_path).slices[4].sop_instance_uid
    finding = (
        f"<nonNodule><nonNoduleID>9</nonNoduleID><imageZposition>60</imageZposition>"
        f"<imageSOP_UID>{uid}</imageSOP_UID><locus><xCoord>5</xCoord><yCoord>6</yCoord></locus>"
        "</nonNodule>"
    )
    _edit(
        tmp_path,
        "</LidcReadMessage>",
        f"<readingSession>{finding}</readingSession></LidcReadMessage>",
    )
    ((reading, _),) = read_series(tmp_path / "lidc", tmp_path / "series")
    assert other_places(reading, _volume(tmp_path)) == [(4.0, 6.0, 5.0)]


def test_a_series_that_is_cut_off_shows_what_is_left_of_a_nodule(tmp_path: Path) -> None:
    cases.lidc(tmp_path)
    for path in sorted((tmp_path / "series" / "one").iterdir())[cases.CENTRE[0] + 1 :]:
        path.unlink()
    ((reading, _),) = read_series(tmp_path / "lidc", tmp_path / "series")
    (inside,) = consensus_masks(reading, _volume(tmp_path))
    assert inside.inside.sum() == cases.inside()[: cases.CENTRE[0] + 1].sum()


def test_xml_of_other_series_is_passed_over_and_none_at_all_is_named(tmp_path: Path) -> None:
    cases.lidc(tmp_path)
    _edit(tmp_path, "<SeriesInstanceUid>", "<SeriesInstanceUid>9.")
    with pytest.raises(InvalidDataset, match="no XML is of a series in"):
        read_series(tmp_path / "lidc", tmp_path / "series")
