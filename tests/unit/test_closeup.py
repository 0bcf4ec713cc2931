"""Close-ups: where they look, in which scale, and what comes back to the volume."""

from __future__ import annotations

import math
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from plugin.detector import closeup
from plugin.detector.checkpoint import DamagedWeights, Weights, read, read_outline, write
from plugin.detector.closeup import (
    SHAPE,
    CloseUpNetwork,
    View,
    lattice_of,
    look,
    pictures,
    spot,
)
from plugin.detector.lattice import source
from plugin.detector.learned import trained
from plugin.detector.network import Architecture, Network
from plugin.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Architecture(channels=(8, 8, 16, 16), blocks=(1, 1, 1, 1))
CPU = torch.device("cpu")


def _volume(spacing: float, diameter: float) -> Volume:
    """A ball of tissue in lung, in the middle of cubic voxels."""
    shape = (48, 48, 48)
    away = np.linalg.norm((np.indices(shape).T - 23.5) * spacing, axis=-1).T
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:, 3] = (-100.0, 30.0, 500.0, 1.0)
    hu = np.where(away <= diameter / 2, 40.0, -850.0).astype(np.float32)
    return Volume(hu, affine, (), ())


def _view(volume: Volume, diameter: float) -> View:
    x, y, z = volume.to_patient(np.array([23.5, 23.5, 23.5])).tolist()
    return View((z, y, x), (diameter, diameter))


class Bright(CloseUpNetwork):
    """Says "inside" where it is bright."""

    def __init__(self) -> None:
        super().__init__(SMALL)
        #: What it was shown.
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        return 20 * x[:, 0] - 10


@pytest.mark.parametrize(("spacing", "diameter"), [(0.7, 10.0), (3.0, 50.0)])
def test_a_nodule_and_a_mass_are_shown_in_the_middle(spacing: float, diameter: float) -> None:
    volume = _volume(spacing, diameter)
    view, network = _view(volume, diameter), Bright()
    found = look(network, source(volume, CPU), volume, view)

    half = 0.8 * diameter + 6.0
    assert found.lattice.spacing == pytest.approx((half / 16, half / 32, half / 32))
    inside = found.inside > 0.5
    middle = found.lattice.to_mm(np.argwhere(inside).mean(axis=0))
    assert middle == pytest.approx(np.array(view.centre), abs=half / 32)
    size = inside.sum() * np.prod(found.lattice.spacing)
    assert size == pytest.approx(math.pi / 6 * diameter**3, rel=0.1)
    # The spot lies on the lesion too, and fades towards its edge.
    shown = network.seen[0][0, -1].numpy()
    peak = np.array(np.unravel_index(shown.argmax(), SHAPE))
    assert np.abs(peak - np.argwhere(inside).mean(axis=0)).max() <= 1.0
    assert shown[inside].min() > 0.2


def test_the_spot_is_as_wide_as_the_lesion() -> None:
    view = View((0.0, 0.0, 0.0), (16.0, 9.0))
    found = spot(view, (1.0, 0.5, 0.5), (16.0, 32.0, 32.0))
    assert found.shape == SHAPE
    assert found[16, 32, 32] == 1.0
    # One standard deviation, 0.35 of the geometric mean of 12 mm, is 4.2 mm.
    along_x = float(np.interp(4.2 / 0.5, np.arange(20), found[16, 32, 32:52]))
    along_z = float(np.interp(4.2, np.arange(10), found[16:26, 32, 32]))
    assert (along_x, along_z) == pytest.approx((math.exp(-0.5), math.exp(-0.5)), abs=0.01)


def test_close_ups_are_computed_one_at_a_time() -> None:
    volume, network = _volume(0.7, 10.0), Bright()
    for size in (6.0, 10.0):
        look(network, source(volume, CPU), volume, _view(volume, size))
    assert [len(each) for each in network.seen] == [1, 1]


@pytest.mark.parametrize("turned", [(2, 0, 1), (1, 2, 0)])
def test_slices_of_another_orientation_show_the_same(turned: tuple[int, int, int]) -> None:
    volume = _volume(0.7, 12.0)
    hu = np.where(np.arange(48)[:, None, None] > 23, volume.hu, -850.0).astype(np.float32)
    axial = replace(volume, hu=hu)
    other = replace(
        axial, hu=hu.transpose(turned).copy(), affine=axial.affine[:, [*turned, 3]].copy()
    )
    view = _view(axial, 12.0)
    first, second = (look(Bright(), source(v, CPU), v, view).inside for v in (axial, other))
    assert 0.01 < (first > 0.5).mean() < 0.05
    assert np.abs(first - second).max() < 1e-3


def test_thin_slices_are_averaged_to_the_lattice_and_not_beyond() -> None:
    volume = _volume(0.5, 4.0)
    small, large = (lattice_of(_view(volume, size), volume) for size in (4.0, 30.0))
    assert small.spacing[0] == pytest.approx(0.575)
    assert (small.averaged, large.averaged) == (1, 5)


def test_a_view_beyond_the_volume_shows_its_border() -> None:
    volume, network = _volume(0.7, 10.0), Bright()
    view = _view(volume, 60.0)
    found = look(network, source(volume, CPU), volume, view)
    assert found.inside[0].max() < 0.5
    assert lattice_of(view, volume).shape == SHAPE


def test_a_new_network_expects_nothing_on_the_grid_it_is_shown() -> None:
    torch.manual_seed(0)
    nothing = torch.zeros(2, *SHAPE)
    said = CloseUpNetwork(SMALL)(pictures(nothing - 850.0, nothing))
    assert said.shape == (2, *SHAPE)
    assert torch.sigmoid(said).max() < 0.2


def test_weights_of_a_folder_outline_or_else_the_shipped_ones(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = CloseUpNetwork(SMALL).eval()
    shipped = read_outline(tmp_path)
    write(Weights(network, "own-1"), tmp_path, "outline")
    own = read_outline(tmp_path)
    assert (own.version, shipped.network.architecture) == ("own-1", closeup.ARCHITECTURE)
    for name, value in own.network.state_dict().items():
        assert torch.allclose(value, network.state_dict()[name], atol=1e-3)
    (tmp_path / "outline.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"outline\.json"):
        read_outline(tmp_path)


def test_weights_of_the_other_network_are_refused_by_name(tmp_path: Path) -> None:
    write(Weights(CloseUpNetwork(SMALL), "own-1"), tmp_path, "outline")
    with pytest.raises(DamagedWeights, match="not of a network that finds lesions"):
        read(tmp_path, "outline")


def test_a_detector_names_both_of_its_networks(tmp_path: Path) -> None:
    for network, name, version in (
        (Network(SMALL), "test", "test 3"),
        (CloseUpNetwork(SMALL), "outline", "7"),
    ):
        write(Weights(network, version), tmp_path, name)
    detector = trained(tmp_path, "test", "cpu")
    assert detector.version == "test 3.7"
    digests = "".join(
        sha256((tmp_path / f"{name}.safetensors").read_bytes()).hexdigest()
        for name in ("test", "outline")
    )
    assert detector.facts().weights_sha256 == sha256(digests.encode()).hexdigest()
