from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread

from plugin import volume
from plugin.datasets import phantom
from plugin.datasets.phantom import LESIONS, Lesion, Orientation, Spec
from tests.conftest import missing

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Spec(shape=(20, 64, 64), spacing=(9.0, 5.5, 5.5))


def test_instances_are_valid_ct(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        missing("dciodvfy")
    phantom.make(tmp_path, replace(SMALL, tilt=10.0))

    for path in sorted(tmp_path.iterdir())[:3]:
        checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        assert "Error" not in checked.stderr


def test_nobody_is_mistaken_for_a_patient(tmp_path: Path) -> None:
    phantom.make(tmp_path, SMALL)

    header = dcmread(tmp_path / "0001.dcm")

    assert header.PatientName == "PHANTOM^LESIONMARK"
    assert "no patient" in header.SeriesDescription


def test_the_same_spec_gives_the_same_instances(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        phantom.make(tmp_path / folder, SMALL)

    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_another_spec_gives_another_study(tmp_path: Path) -> None:
    phantom.make(tmp_path / "one", SMALL)
    phantom.make(tmp_path / "two", replace(SMALL, seed=2))

    one, two = (dcmread(tmp_path / folder / "0001.dcm") for folder in ("one", "two"))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert one[keyword].value != two[keyword].value


@pytest.mark.parametrize("orientation", list(Orientation))
def test_lesions_lie_where_the_truth_says(tmp_path: Path, orientation: Orientation) -> None:
    spec = Spec(shape=(90, 90, 90), spacing=(4.0, 4.0, 4.0), orientation=orientation)
    truth = phantom.make(tmp_path, spec)
    ct = volume.read(tmp_path.iterdir())

    assert truth == LESIONS
    inverse = np.linalg.inv(ct.affine)
    for lesion in truth:
        slice_, row, column, _ = np.rint(inverse @ [*lesion.centre, 1]).astype(int)
        assert ct.hu[slice_, row, column] == pytest.approx(lesion.hu, abs=90)
        above = np.rint(inverse @ [*np.add(lesion.centre, (0, 0, 18)), 1]).astype(int)
        assert ct.hu[tuple(above[:3])] < -700


def test_a_normal_chest_differs_by_the_lesions_alone() -> None:
    lesion = Lesion((-80.0, 0.0, 0.0), (30.0, 20.0, 20.0))
    spec = Spec(shape=(70, 128, 128), spacing=(2.5, 2.75, 2.75), lesions=(lesion,), seed=3)

    hu = phantom.attenuation(spec)

    solid = (hu > -400) & (np.indices(hu.shape)[2] < 64 - 25 / 2.75)
    z, y, x = np.moveaxis(np.indices(hu.shape), 0, 0) - np.array(hu.shape)[:, None, None, None] / 2
    near = (np.abs(x * 2.75 + 80) < 20) & (np.abs(y * 2.75) < 15) & (np.abs(z * 2.5) < 15)
    assert (solid & near).sum() * 2.5 * 2.75**2 == pytest.approx(np.pi / 6 * 30 * 20 * 20, rel=0.1)
