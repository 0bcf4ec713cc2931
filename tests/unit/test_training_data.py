"""From patches to training targets: geometry that must survive every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from plugin.datasets.nodules import Patch, is_held_out
from plugin.training.appearance import enhanced, fade, filtered, vary
from plugin.training.backgrounds import make_background
from plugin.training.blocks import Blocks, Difficulty, Mix, Pool
from plugin.training.collage import Painter, cut, flip, make_block, make_mosaic
from plugin.training.samples import of_patch
from plugin.training.shape import Shape, shape_of
from plugin.training.targets import make_targets, output_position
from plugin.training.tiles import Tile, Variation, make_tile

SPACING = (2.0, 1.0, 1.0)
PLAIN = Variation(scale=(1.0, 1.0), angle=0.0, thickness=1.0, phase=0.0)


def _ellipsoid(
    shape: tuple[int, int, int], centre: tuple[float, ...], half: tuple[float, ...], angle: float
) -> np.ndarray:
    """Half axes (z, along, across) in voxels, the second at `angle` from the x to the y axis."""
    z, y, x = (a - c for a, c in zip(np.indices(shape), centre, strict=True))
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.asarray((z / half[0]) ** 2 + (along / half[1]) ** 2 + (across / half[2]) ** 2 <= 1)


def _tile(angle: float = 0.5) -> Tile:
    mask = _ellipsoid((20, 40, 44), (8.0, 15.0, 24.0), (4.0, 9.0, 5.0), angle)
    hu = np.where(mask, 40, -850).astype(np.int16)
    return Tile(hu, mask, shape_of(mask, SPACING))


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.2, 2.5])
def test_the_shape_of_an_ellipsoid(angle: float) -> None:
    shape = shape_of(_ellipsoid((20, 60, 60), (9, 30, 31), (4, 12, 6), angle), SPACING)
    assert shape.centre == pytest.approx((9, 30, 31), abs=0.1)
    assert shape.long_mm == pytest.approx(24.5, abs=0.8)
    assert shape.short_mm == pytest.approx(12.7, abs=1.0)
    assert shape.depth_mm == 18.0
    assert np.cos(2 * (shape.angle - angle)) > 0.95


@settings(deadline=None, max_examples=30)
@given(st.tuples(st.booleans(), st.booleans(), st.booleans()), st.booleans(), st.integers(0, 10))
def test_a_flipped_and_cut_tile_knows_its_lesion(
    flips: tuple[bool, bool, bool], transpose: bool, seed: int
) -> None:
    tile = cut(flip(_tile(), flips, transpose), np.random.default_rng(seed))
    truth = shape_of(tile.mask, SPACING)
    assert tile.lesion.centre == pytest.approx(truth.centre)
    assert np.cos(2 * (tile.lesion.angle - truth.angle)) > 0.98
    assert tile.mask.sum() == _tile().mask.sum()
    assert (tile.hu[tile.mask] == 40).all()


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.25])
def test_a_resampled_patch_is_as_much_larger_as_asked(scale: float) -> None:
    mask = _ellipsoid((50, 50, 50), (24.5, 24.5, 24.5), (8, 12, 8), 0.3)
    patch = Patch("1.2.3_0", np.where(mask, 40, -850).astype(np.int16), mask)
    tile = make_tile(of_patch(patch), Variation((scale, scale), 0.0, 1.0, 1.0))
    assert tile is not None
    assert tile.lesion.long_mm == pytest.approx(24 * scale, abs=1.5)
    assert tile.lesion.depth_mm == pytest.approx(16 * scale, abs=2.1)
    assert (tile.hu[tile.mask] > -500).mean() > 0.95


def test_rotation_turns_the_image_and_the_axis_alike() -> None:
    mask = _ellipsoid((50, 50, 50), (24.5, 24.5, 24.5), (8, 12, 6), 0.0)
    patch = Patch("1.2.3_0", np.where(mask, 40, -850).astype(np.int16), mask)
    tile = make_tile(of_patch(patch), Variation((1.0, 1.0), 0.25, 1.0, 1.0))
    assert tile is not None
    assert abs(np.sin(tile.lesion.angle)) == pytest.approx(np.sin(0.25), abs=0.08)
    assert (tile.hu[tile.mask] > -500).mean() > 0.95


def test_a_covered_lesion_is_neither_lesion_nor_background() -> None:
    painter = Painter(np.full((24, 48, 48), -850, np.int16), np.random.default_rng(0))
    tile = _tile()
    painter.paste(tile, (0, 0, 0))
    painter.cover(np.full((20, 40, 23), -850, np.int16), (0, 0, 0))
    block = painter.finish()
    assert block.lesions == ()
    assert not block.mask.any()
    assert 0 < (block.valid == 0).sum() < tile.mask.sum()


def test_a_lesion_outside_of_the_block_leaves_no_trace() -> None:
    painter = Painter(np.full((24, 48, 48), -850, np.int16), np.random.default_rng(0))
    painter.paste(_tile(), (100, 0, 0))
    assert painter.finish().valid.all()


def test_targets_lead_back_to_the_lesion() -> None:
    rng = np.random.default_rng(4)
    block = make_block(np.full((24, 96, 96), -850, np.int16), [_tile()], [], rng)
    (lesion,) = block.lesions
    targets = make_targets(block)
    z, y, x = np.unravel_index(int(targets.centre.argmax()), targets.centre.shape[1:])
    assert targets.centre[0, z, y, x] == 1.0
    assert (targets.centre == 1.0).sum() == 1
    offset = targets.regression[:3, z, y, x].numpy()
    assert offset + np.array((z, y, x)) == pytest.approx(output_position(lesion), abs=1e-4)
    assert np.abs(offset).max() <= 0.5 + 1e-6
    assert targets.regression[3, z, y, x].exp().item() == pytest.approx(lesion.long_mm, rel=1e-4)
    assert (targets.mask[0].numpy() > 0).sum() == _tile().mask.sum()


def test_the_centre_in_output_voxels_lies_between_the_pixels_it_covers() -> None:
    lesion = Shape((3.0, 10.5, 20.5), 8.0, 8.0, 8.0, 0.0)
    assert output_position(lesion).tolist() == [3.0, 5.0, 10.0]


def _pool() -> Pool:
    hu = np.full((40, 160, 160), -1000, np.int16)
    hu[:, 20:140, 20:140] = 30
    hu[:, 40:120, 40:120] = -850
    hu[10:20, 70:80, 70:80] = 111
    box = np.array([[[10.0, 70.0, 70.0], [19.0, 79.0, 79.0]]])
    return Pool([[_tile(0.1)], [_tile(1.0)]], [make_background("b", hu, box, SPACING, 1.0)])


def test_no_crop_of_a_background_shows_its_lesion() -> None:
    background, rng = _pool().backgrounds[0], np.random.default_rng(0)
    crops = [background.crop((8, 24, 24), rng, None) for _ in range(200)]
    assert not any((crop == 111).any() for crop in crops)
    assert sum((crop == -850).any() for crop in crops) > 100


def test_batches_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    mix = Mix(2, (24, 96, 96), negative=0.3, half=0.5, tiles=2)

    def first(seed: int) -> list[torch.Tensor]:
        return list(next(iter(Blocks(_pool(), _pool(), mix, (seed,)))))

    one, same, other = first(1), first(1), first(2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], other[0])
    assert one[0].shape == (2, 24, 96, 96)
    assert one[1].shape == (2, 1, 24, 48, 48)


def test_hard_lesions_are_drawn_more_often() -> None:
    pool = replace(_pool(), difficulty=Difficulty(lesions=np.array([0.0, 3.0])))
    mix = Mix(1, (24, 96, 96), negative=0.0, half=0.0, tiles=1)
    hard = pool.tiles[1][0].lesion.long_mm
    blocks = Blocks(pool, pool, mix, (0,))
    sizes = [each[3][0, 3].max().exp().item() for each, _ in zip(blocks, range(5), strict=False)]
    assert sizes == pytest.approx([hard] * 5, rel=1e-4)


def test_a_mosaic_keeps_lesions_in_their_own_surroundings() -> None:
    ground = np.full((24, 96, 96), -1000, np.int16)
    tiles = [_square_tile(value) for value in range(-900, -450, 50)]
    places = []
    for seed in range(20):
        block = make_mosaic(ground, tiles, np.random.default_rng(seed))
        assert block.lesions
        for lesion in block.lesions:
            z, y, x = np.round(lesion.centre).astype(int)
            assert block.mask[z, y, x]
            places.append((y % 48, x % 48))
    # Somewhere in the block, not always in the middle of a square of a fixed grid.
    assert np.std(places, axis=0).min() > 8


def _square_tile(hu: int) -> Tile:
    """A lesion of 10 voxels in the middle of 48 voxels of its own attenuation."""
    mask = np.zeros((24, 48, 48), bool)
    mask[10:14, 19:29, 19:29] = True
    return Tile(np.where(mask, 40, hu).astype(np.int16), mask, shape_of(mask, SPACING))


def test_a_faded_lesion_lies_between_itself_and_lung() -> None:
    tile = _tile()
    faded = fade(tile, 0.25)
    core = ndimage.binary_erosion(tile.mask, iterations=2)
    assert faded.hu[core] == pytest.approx(-850 + 0.25 * 890, abs=2)
    far = ~ndimage.binary_dilation(tile.mask, iterations=8)
    assert (faded.hu[far] == tile.hu[far]).all()
    assert (faded.mask == tile.mask).all()


def test_a_lesion_without_lung_around_does_not_fade() -> None:
    tile = _tile()
    solid = replace(tile, hu=np.full_like(tile.hu, 40))
    assert (fade(solid, 0.25).hu == 40).all()


def test_a_kernel_sharpens_or_smoothes_edges_and_leaves_flat_parts() -> None:
    edge = np.full((2, 20, 20), -850, np.float32)
    edge[:, :, 10:] = 50
    sharp, smooth = filtered(edge, 1.0), filtered(edge, -1.0)
    assert sharp[0, 10, 10] > 100
    assert smooth[0, 10, 10] < 0
    assert filtered(edge, 0.0) == pytest.approx(edge)
    for each in (sharp, smooth):
        assert each[:, :, 0] == pytest.approx(edge[:, :, 0], abs=0.5)


def test_contrast_agent_is_taken_up_by_soft_tissue_alone() -> None:
    hu = np.array([[[-900.0, 0.0, 40.0, 1000.0]]], np.float32)
    assert enhanced(hu, 1.5).ravel().tolist() == [-900.0, 0.0, 60.0, 1100.0]


def test_another_scanner_is_the_same_for_the_same_seed() -> None:
    hu = np.linspace(-900, 100, 8 * 24 * 24, dtype=np.float32).reshape(8, 24, 24)
    many = [vary(hu, np.random.default_rng(seed)) for seed in range(12)]
    assert (many[3] == vary(hu, np.random.default_rng(3))).all()
    assert len({each.std().round(3) for each in many}) == 12
    assert max(np.abs(each - hu).mean() for each in many) < 120


def test_a_fifth_of_the_scans_is_held_out() -> None:
    held = [is_held_out(f"1.2.{n}") for n in range(1000)]
    assert 150 < sum(held) < 250
    assert held == [is_held_out(f"1.2.{n}") for n in range(1000)]
