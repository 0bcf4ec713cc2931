"""What is silent stays silent: from samples over tiles and blocks to maps and losses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage

from plugin.bookmark import LesionType
from plugin.datasets.nodules import Patch
from plugin.datasets.patch_neighbours import Neighbour
from plugin.detector.checkpoint import Weights, write
from plugin.detector.learned import trained
from plugin.detector.network import Architecture, Network
from plugin.training.blocks import Blocks, Difficulty, Mix, Pool
from plugin.training.collage import Painter, cut, flip, make_scene
from plugin.training.drawn import SITES, Site, draw_lesion, site_of
from plugin.training.losses import smooth_l1, type_loss
from plugin.training.packed import read_pack, versions, write_pack
from plugin.training.samples import Sample, of_patch
from plugin.training.shape import Outline, Shape, Told, ellipsoid
from plugin.training.targets import make_targets
from plugin.training.tiles import Tile, Variation, make_tile, thick_slices
from tests.evaluation_cases import volume

if TYPE_CHECKING:
    from pathlib import Path

SPACING = (2.0, 1.0, 1.0)
TYPES = tuple(kind.value for kind in LesionType)
SMALL = Architecture(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1))
BOOKMARK = Told(axes=True, depth=False, outline=Outline.KEY_SLICE, lesion_type=3)
LESION = Shape((12.0, 50.0, 60.0), 24.0, 12.0, 12.0, 0.4, BOOKMARK)


def _sample(lesion: Shape = LESION, **others: object) -> Sample:
    """A lesion in lung, whose voxels nobody marked."""
    shape = (26, 110, 116)
    hu = np.where(ellipsoid(shape, lesion, SPACING), 40, -850).astype(np.int16)
    return Sample("one", hu, SPACING, lesion, None, **others)  # type: ignore[arg-type]


def _tile(sample: Sample, variation: Variation | None = None) -> Tile:
    tile = make_tile(sample, variation or Variation((1.0, 1.0), 0.0, 1.0, 1.0))
    assert tile is not None
    return tile


@pytest.mark.parametrize(
    "variation",
    [
        Variation((1.0, 1.0), 0.0, 1.0, 1.0),
        Variation((1.0, 1.0), 0.25, 1.0, 0.0),
        Variation((1.25, 0.9), -0.2, 1.0, 1.7),
        Variation((0.6, 0.6), 0.1, 1.0, 1.0),
    ],
)
def test_a_drawn_lesion_follows_its_image(variation: Variation) -> None:
    tile = _tile(_sample(), variation)
    bright = tile.hu > -405
    both = (bright & tile.mask).sum()
    assert 2 * both / (bright.sum() + tile.mask.sum()) > 0.85
    assert tile.lesion.centre == pytest.approx(np.argwhere(bright).mean(axis=0), abs=0.4)
    assert tile.lesion.long_mm == pytest.approx(24 * variation.scale[0])
    assert tile.lesion.told == BOOKMARK


def test_neighbours_and_unmarked_places_count_less() -> None:
    other = Shape((12.0, 20.0, 20.0), 10.0, 10.0, 10.0, 0.0)
    tile = _tile(_sample(neighbours=(other,), unmarked=0.25))
    assert tile.certainty is not None
    assert tile.certainty[12, 50, 60] == tile.certainty[12, 50, 60 + 16] == 1.0
    assert tile.certainty[12, 20, 20] == tile.certainty[12, 20, 30] == 0.0
    assert tile.certainty[12, 100, 10] == 0.25
    assert _tile(_sample()).certainty is None


def test_a_patch_is_silent_about_other_nodules_in_it() -> None:
    mask = np.zeros((50, 50, 50), bool)
    mask[22:29, 22:29, 20:30] = True
    patch = Patch("1.2.3_0", np.where(mask, 40, -850).astype(np.int16), mask)
    tile = _tile(of_patch(patch, 5, [Neighbour((40.0, 10.0, 44.0), 6.0)]))
    assert tile.certainty is not None
    # Slices of the grid lie 2 mm apart.
    assert tile.certainty[20, 10, 44] == tile.certainty[20, 14, 44] == 0.0
    assert tile.certainty[12, 25, 25] == tile.certainty[20, 25, 25] == 1.0
    assert tile.lesion.told.lesion_type == 5
    assert _tile(of_patch(patch)).certainty is None


def test_certainty_is_mirrored_cut_and_pasted_with_its_tile() -> None:
    tile = _tile(_sample(unmarked=0.25))
    rng = np.random.default_rng(3)
    moved = cut(flip(tile, (True, False, True), transpose=True), rng)
    assert moved.certainty is not None
    assert moved.certainty.shape == moved.hu.shape
    assert (moved.certainty[moved.mask] == 1.0).all()
    painter = Painter(np.full((24, 96, 96), -850, np.int16), rng)
    painter.paste(moved, (0, 0, 0))
    block = painter.finish()
    assert (block.valid[block.mask] == 1.0).all()
    assert (block.valid == 0.25).sum() > 1000
    painter.cover(np.full((24, 96, 96), -850, np.int16), (0, 0, 0))
    assert (painter.finish().valid == 1.0).all()


def _block_of(lesion: Shape, unmarked: float = 1.0):  # type: ignore[no-untyped-def]
    painter = Painter(np.full((24, 96, 96), -850, np.int16), np.random.default_rng(0))
    painter.paste(_tile(_sample(lesion, unmarked=unmarked)), (0, 0, 0))
    return painter.finish()


def test_maps_of_a_bookmark_say_nothing_of_depth_and_of_other_slices() -> None:
    targets = make_targets(_block_of(LESION, 0.25))
    z, y, x = 12, 25, 30
    assert targets.weight[:, z, y, x].tolist() == [1, 1, 1, 1, 1, 0, 1, 1]
    assert targets.mask_weight[0, z, 50, 60] == 1.0
    assert targets.mask_weight[0, z - 2, 50, 60] == targets.mask_weight[0, z + 2, 50, 60] == 0.0
    assert targets.mask_weight[0, z, 5, 5] == pytest.approx(0.03 * 0.25)
    assert targets.valid[0, z, y, x] == 1.0
    assert targets.valid[0, z, 2, 2] == 0.25
    assert targets.lesion_type[0, z, y, x] == 3
    assert targets.lesion_type[0, z, 2, 2] == -1


@pytest.mark.parametrize(
    ("outline", "on_key", "beside"),
    [(Outline.NOWHERE, 0.0, 0.0), (Outline.EVERYWHERE, 1.0, 1.0), (Outline.KEY_SLICE, 1.0, 0.0)],
)
def test_an_outline_counts_where_it_was_marked(
    outline: Outline, on_key: float, beside: float
) -> None:
    told = replace(BOOKMARK, outline=outline, axes=False, lesion_type=None)
    targets = make_targets(_block_of(replace(LESION, told=told)))
    assert targets.mask_weight[0, 12, 50, 60] == on_key
    assert targets.mask_weight[0, 14, 50, 60] == beside
    if outline is not Outline.EVERYWHERE:
        assert targets.weight[3:, 12, 25, 30].tolist() == [0, 0, 0, 0, 0]
    assert (targets.lesion_type == -1).all()


def test_a_silent_channel_costs_nothing() -> None:
    value, target = torch.ones(1, 2, 1, 1, 3), torch.zeros(1, 2, 1, 1, 3)
    weight = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).reshape(value.shape)
    assert smooth_l1(value, target, weight).item() == pytest.approx(3 * 0.9 / 2)


def test_types_cost_only_where_they_are_told() -> None:
    logits = torch.zeros(1, 8, 1, 1, 3)
    logits[0, 2] = 5.0
    kinds = torch.tensor([2.0, 2.0, -1.0]).reshape(1, 1, 1, 1, 3)
    right = type_loss(logits, kinds).item()
    assert right == pytest.approx(np.log(np.exp(5) + 7) - 5, rel=1e-4)
    assert type_loss(logits, kinds.clamp(max=0.0)).item() > 4
    assert type_loss(logits, torch.full_like(kinds, -1)).item() == 0.0
    assert type_loss(None, kinds).item() == 0.0


def test_a_network_without_types_has_no_weights_for_them() -> None:
    torch.manual_seed(0)
    plain = Network(SMALL).state_dict()
    torch.manual_seed(0)
    typed = Network(replace(SMALL, types=TYPES)).state_dict()
    assert typed.keys() - plain.keys() == {"types.weight", "types.bias"}
    assert all(torch.equal(typed[name], value) for name, value in plain.items())


def test_a_network_with_types_says_them_of_its_detections_and_looks_everywhere(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    network = Network(replace(SMALL, types=TYPES))
    with torch.no_grad():
        assert network.heads.bias is not None
        network.heads.bias[0], network.heads.bias[9:] = 3.0, 3.0
        assert network.types is not None
        network.types.bias[6] = 20.0
    write(Weights(network, "test-1", 0.5), tmp_path, "test")
    # So wide a field of view without lungs is not looked at by a network for lungs.
    wide = replace(volume(), affine=volume().affine @ np.diag([1.0, 4.0, 4.0, 1.0]))
    found = trained(tmp_path, "test", "cpu").detect(wide)
    assert found
    assert {each.lesion_type for each in found} == {LesionType.SOFT_TISSUE}


def test_a_pack_gives_back_every_voxel(tmp_path: Path) -> None:
    mask = ellipsoid((26, 110, 116), LESION, SPACING)
    noise = np.random.default_rng(0).integers(-3024, 3000, mask.shape).astype(np.int16)
    outlined = replace(LESION, told=Told(lesion_type=1))
    samples = [
        _sample(neighbours=(LESION,), unmarked=0.5),
        Sample("two", noise.clip(-1024), SPACING, outlined, mask),
    ]
    write_pack(tmp_path / "pack", iter(samples))
    pack = read_pack(tmp_path / "pack")
    for number, expected in enumerate(samples):
        found = pack.sample(number)
        assert (found.hu == expected.hu).all()
        for name in ("name", "spacing", "lesion", "neighbours", "unmarked"):
            assert getattr(found, name) == getattr(expected, name)
    assert pack.sample(0).mask is None
    assert (pack.sample(1).mask == mask).all()


def test_an_interrupted_pack_is_none(tmp_path: Path) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield _sample()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_pack(tmp_path / "pack", broken())
    assert not (tmp_path / "pack").exists()
    assert len(write_pack(tmp_path / "pack", [_sample()]).entries) == 1


def test_versions_of_a_packed_sample_are_the_same_for_the_same_number(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", [_sample(), _sample(replace(LESION, long_mm=13.0))])
    one, same = versions(pack, 1.0, 7, 0.0)[0], versions(pack, 1.0, 7, 0.0)[0]
    assert (one[5].hu == same[5].hu).all()
    assert one[5].lesion == same[5].lesion
    assert one[5].hu.shape != one[6].hu.shape
    assert len(versions(pack, 0.5, 7, 14.0)) == 1


def test_a_scene_shows_the_lesion_in_the_middle_half() -> None:
    ground = np.full((24, 96, 96), -1000, np.int16)
    places = []
    for seed in range(20):
        block = make_scene(ground, _tile(_sample()), np.random.default_rng(seed))
        (lesion,) = block.lesions
        places.append(np.array(lesion.centre) / block.hu.shape)
    assert np.min(places) > 0.2
    assert np.max(places) < 0.8
    assert np.std(places, axis=0).min() > 0.08


def test_blocks_need_no_lesion_free_series(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", [_sample()])
    pool, empty = Pool(versions(pack, 1.0, 1, 0.0), []), Pool([], [], Difficulty())
    mix = Mix(1, (24, 96, 96), negative=0.0, half=0.5, scene=1.0)
    hu, centre, *_ = next(iter(Blocks(pool, empty, mix, (0,))))
    assert hu.shape == (1, 24, 96, 96)
    assert (centre == 1.0).sum() == 1


def test_thick_slices_far_apart_are_interpolated() -> None:
    ramp = np.zeros((9, 1, 1), np.float32)
    ramp[4:] = 100.0
    averaged = thick_slices(ramp, 2.0, Variation((1, 1), 0.0, 6.0, 0.0))
    assert averaged[2:6, 0, 0] == pytest.approx([0.0, 100 / 3, 200 / 3, 100.0])
    apart = thick_slices(ramp, 2.0, Variation((1, 1), 0.0, 1.0, 0.0, distance=6.0))
    # Slices 0, 3 and 6 are there; behind the last one nothing is known but the last one.
    assert apart[:, 0, 0] == pytest.approx([0, 0, 0, 0, 100 / 3, 200 / 3, 100, 100, 100])
    assert (thick_slices(ramp, 2.0, Variation((1, 1), 0.0, 1.0, 0.0)) == ramp).all()


@pytest.mark.parametrize("site", SITES, ids=["fat", "organ", "bone"])
def test_a_drawn_lesion_differs_from_its_site_as_lesions_there_do(site: Site) -> None:
    around = sum(site.tissue) / 2
    hu = np.full((24, 96, 96), around, np.int16)
    changes = []
    for seed in range(8):
        tile = draw_lesion(hu, np.random.default_rng(seed))
        assert tile is not None
        core = ndimage.binary_erosion(tile.mask)
        if core.any():
            changes.append(float((tile.hu - hu)[core].mean()))
        far = ~ndimage.binary_dilation(tile.mask, iterations=5)
        assert (tile.hu[far] == hu[far]).all()
        assert tile.lesion.told.lesion_type is None
    low, high = min(site.changes)[0], max(site.changes)[1]
    assert low - 25 <= min(changes)
    assert max(changes) <= high + 25
    assert all(abs(change) > 10 for change in changes)


def test_nothing_is_drawn_into_air_and_over_the_border_of_a_tissue() -> None:
    hu = np.full((24, 64, 64), -1000, np.int16)
    assert site_of(-1000.0) is None
    assert draw_lesion(hu, np.random.default_rng(0)) is None
    hu[:, 32:] = 60
    drawn = [draw_lesion(hu, np.random.default_rng(seed)) for seed in range(10)]
    masks = [each.mask for each in drawn if each is not None]
    assert len(masks) > 5
    assert not any(mask[:, :32].any() for mask in masks)
