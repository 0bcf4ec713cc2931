"""The reader of nodule patches, on a folder written for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.nodules import Patch, read_patches
from plugin.evaluation.cases import Asked, patches
from tests.nodule_cases import write_patches

if TYPE_CHECKING:
    from pathlib import Path


def _write(folder: Path, names: list[str], shape: tuple[int, int, int]) -> list[np.ndarray]:
    rng, mask = np.random.default_rng(0), np.zeros(shape, bool)
    mask[1:3, 2:7, 3:9] = True
    images = [rng.integers(-1024, 600, shape).astype(np.int16) for _ in names]
    write_patches(folder, [Patch(*both, mask) for both in zip(names, images, strict=True)])
    return images


def test_patches_come_back_voxel_by_voxel(tmp_path: Path) -> None:
    images = _write(tmp_path, ["1.2.840.1_0", "1.2.840.1_1"], (4, 9, 11))
    found = list(read_patches(tmp_path))
    assert [patch.series_instance_uid for patch in found] == ["1.2.840.1"] * 2
    for patch, hu in zip(found, images, strict=True):
        assert np.array_equal(patch.hu, hu)
        assert np.argwhere(patch.mask).min(axis=0).tolist() == [1, 2, 3]
        assert patch.mask.sum() == 2 * 5 * 6


def test_only_held_out_scans_are_judged_and_their_truth_is_measured(tmp_path: Path) -> None:
    _write(tmp_path, [f"1.2.840.{n}_0" for n in range(30)], (4, 9, 11))
    cases = patches(tmp_path)
    assert 0 < len(cases) < 15
    assert len(patches(tmp_path, Asked(everything=True))) == 30
    assert cases[0].unit == cases[0].name.rsplit("_", 1)[0]
    volume = cases[0].volume()
    (truth,) = cases[0].truths(volume)
    assert truth.centre.tolist() == [5.5, 4.0, 1.5]  # (x, y, z) at 1 mm
    assert truth.axes_mm == pytest.approx((7.2, 6.4), abs=0.6)
    assert truth.diameter_mm == truth.axes_mm[0]


def test_a_folder_without_held_out_scans_is_named(tmp_path: Path) -> None:
    _write(tmp_path, ["1.2.840.1_0"], (4, 9, 11))
    with pytest.raises(InvalidDataset, match="no patch is of a held-out scan; --all"):
        patches(tmp_path)


@pytest.mark.parametrize("missing", ["nodules.csv", "masks.npz"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    _write(tmp_path, ["1.2.840.1_0"], (4, 9, 11))
    (tmp_path / missing).unlink()
    with pytest.raises(InvalidDataset, match=f"{missing}: there is no such file"):
        list(read_patches(tmp_path))


@pytest.mark.parametrize(
    "row",
    ["1.2.840.1_0,4,9,12,6", "1.2.840.1_0,4,nine,11,6", "1.2.840.2_0,4,9,11,6", "1.2.840.1_0"],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str) -> None:
    _write(tmp_path, ["1.2.840.1_0"], (4, 9, 11))
    (tmp_path / "nodules.csv").write_text(f"name,depth,rows,columns,diameter_mm\n{row}\n")
    with pytest.raises(InvalidDataset, match=r"nodules\.csv, row 1: "):
        list(read_patches(tmp_path))
