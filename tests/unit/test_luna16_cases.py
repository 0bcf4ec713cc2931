"""LUNA16's tables with DICOM series: what counts, what is excused, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.luna16 import UNMEASURED, Sphere, write_luna16
from plugin.evaluation.cases import Asked
from plugin.evaluation.froc import MISSED, Scan, match
from plugin.evaluation.judge import by_luna16, judge
from plugin.evaluation.luna16_cases import annotated_series
from plugin.evaluation.protocols import chosen
from tests.evaluation_cases import Told, block
from tests.volume_cases import ORIGIN, SPACING, images, written

if TYPE_CHECKING:
    from pathlib import Path


def _at(slice_index: float, row: float, column: float) -> tuple[float, float, float]:
    """A place in the series of tests.volume_cases, mm in LPS (x, y, z)."""
    z_mm, y_mm, x_mm = np.multiply((slice_index, row, column), SPACING)
    return ORIGIN[0] + x_mm, ORIGIN[1] + y_mm, ORIGIN[2] + z_mm


@pytest.fixture
def uid(tmp_path: Path) -> str:
    """Series Instance UID of the one series in a folder."""
    written(tmp_path / "series" / "one", images())
    return str(images()[0].SeriesInstanceUID)


def test_what_need_not_be_found_is_no_false_positive(tmp_path: Path, uid: str) -> None:
    nodule, missed = Sphere(uid, _at(3, 16, 20), 6.0), Sphere(uid, _at(3, 4, 4), 3.0)
    other = Sphere("1.2.3", _at(3, 16, 20), 6.0)
    write_luna16(tmp_path / "annotations.csv", [nodule, missed, other])
    # Nobody measured it: it is taken for 10 mm wide, which reaches 6 columns.
    excused = Sphere(uid, _at(3, 16, 36), UNMEASURED)
    write_luna16(tmp_path / "annotations_excluded.csv", [excused])
    (case,) = annotated_series(tmp_path)
    size = (1, 1, 1)
    told = [
        block(0.9, (3, 16, 20), size),
        block(0.8, (3, 16, 30), size),
        block(0.7, (3, 16, 29), size),
    ]
    verdict = judge(Told(told), case, by_luna16)
    assert verdict.scans == (Scan((0.9, MISSED), (0.7,), "one"),)
    assert [meeting.truth.diameter_mm for meeting in verdict.meetings] == [6.0, 3.0]


def test_an_excused_finding_still_hits_a_lesion() -> None:
    meets = np.array([[True], [False], [False]])
    excused = np.array([True, True, False])
    assert match(meets, [0.9, 0.8, 0.7], "", excused) == Scan((0.9,), (0.7,))


def test_series_without_nodules_count_too(tmp_path: Path, uid: str) -> None:
    free = images()
    for instance in free:
        instance.SeriesInstanceUID = "1.2.3"
    written(tmp_path / "series" / "two", free)
    write_luna16(tmp_path / "annotations.csv", [Sphere(uid, _at(3, 16, 20), 6.0)])
    (protocol,) = chosen(tmp_path, None)
    assert protocol.name == "luna16"
    cases = protocol.cases(tmp_path, Asked())
    assert [len(case.truths(case.volume())) for case in cases] == [1, 0]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda root: write_luna16(root / "annotations.csv", []), "has no nodule of the series"),
        (lambda root: (root / "series" / "empty").mkdir(), "empty: the folder is empty"),
        (lambda root: (root / "series" / "one" / "00.dcm").write_bytes(b"no"), r"00\.dcm: File is"),
        (lambda root: (root / "annotations_excluded.csv").touch(), "excluded.csv: the header must"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, uid: str, break_it: object, said: str) -> None:
    write_luna16(tmp_path / "annotations.csv", [Sphere(uid, _at(3, 16, 20), 6.0)])
    assert len(annotated_series(tmp_path)) == 1
    break_it(tmp_path)  # type: ignore[operator]
    with pytest.raises(InvalidDataset, match=said):
        annotated_series(tmp_path)
