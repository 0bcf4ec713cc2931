"""The network's shapes, scale and independence of where a volume is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plugin.detector.network import (
    Architecture,
    Network,
    StandardisedConv,
    depth_to_space,
    normalise,
    space_to_depth,
)

SMALL = Architecture(channels=(8, 8, 16, 16), blocks=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(SMALL).eval().requires_grad_(False)


def test_maps_lie_on_their_grids(network: Network) -> None:
    maps = network(torch.rand(2, 2, 8, 32, 48))
    assert [tuple(m.shape) for m in maps if m is not None] == [
        (2, 1, 8, 16, 24),
        (2, 3, 8, 16, 24),
        (2, 3, 8, 16, 24),
        (2, 2, 8, 16, 24),
        (2, 1, 8, 32, 48),
    ]


def test_sizes_that_cannot_be_halved_are_no_trouble(network: Network) -> None:
    assert network(torch.rand(1, 2, 5, 22, 18)).centre.shape == (1, 1, 5, 11, 9)


def test_a_new_network_expects_few_lesions_of_eight_millimetres(network: Network) -> None:
    maps = network(torch.rand(1, 2, 8, 32, 32))
    assert torch.sigmoid(maps.centre).max() < 0.05
    assert maps.log_size.exp().mean().item() == pytest.approx(7.4, rel=0.2)


def test_filters_have_no_mean_and_variance_of_one_over_fan_in() -> None:
    filters = StandardisedConv(6, 5, gain=2.0).standardised().detach().flatten(1)
    assert filters.mean(1).numpy() == pytest.approx(np.zeros(5), abs=1e-6)
    assert (filters.var(1) * 6 * 27).numpy() == pytest.approx(np.full(5, 4.0), rel=0.05)


def test_pixels_become_channels_and_back() -> None:
    image = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(1, 1, 2, 4, 6)
    deep = space_to_depth(image)
    assert deep[0, :, 0, 0, 0].tolist() == [0.0, 1.0, 6.0, 7.0]  # (y, x) within the 2 x 2 pixels
    assert torch.equal(depth_to_space(deep), image)


def test_windows_run_from_air_to_bone() -> None:
    hu = torch.tensor([-2000.0, -1000.0, -300.0, 40.0, 400.0, 3000.0]).reshape(1, 1, 1, 6)
    lung, soft = normalise(hu)[0, :, 0, 0]
    assert lung.tolist() == pytest.approx([0, 0, 0.5, 1040 / 1400, 1, 1])
    assert soft.tolist() == pytest.approx([0, 0, 0, 0.5, 1, 1])


def test_the_middle_of_a_volume_does_not_feel_its_ends(network: Network) -> None:
    # Cut at multiples of 8 slices, as inference does; the receptive field of this small
    # network ends well before the middle.
    torch.manual_seed(1)
    volume = torch.rand(1, 2, 80, 16, 16)
    whole, part = network(volume), network(volume[:, :, 8:72])
    assert torch.allclose(whole.centre[:, :, 40], part.centre[:, :, 32], atol=2e-3)
