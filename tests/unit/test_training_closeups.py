"""Random close-ups to learn outlines from, their losses, and a whole run."""

from __future__ import annotations

import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import plugin
from plugin.detector.checkpoint import read_outline
from plugin.detector.closeup import SHAPE
from plugin.detector.network import Architecture
from plugin.training import loop, prepare, state
from plugin.training.__main__ import main
from plugin.training.closeups import (
    CloseUps,
    Subject,
    closeup,
    expectation,
    held,
    measured,
    subjects,
)
from plugin.training.config import (
    Composition,
    Config,
    InvalidConfig,
    Machine,
    Optimisation,
    Source,
    load,
)
from plugin.training.losses import Losses, closeup_loss, closeup_losses, edges
from plugin.training.peers import Peers
from plugin.training.samples import Sample
from plugin.training.shape import Outline, shape_of
from plugin.training.tasks import Outlining
from tests import training_cases

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = Architecture(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1))
SPACING = (1.5, 0.8, 0.8)


def _sample(halves: tuple[float, float, float] = (6.0, 5.0, 8.0)) -> Sample:
    """An ellipsoid with these half axes, mm, in lung."""
    shape = (40, 70, 70)
    away = (np.indices(shape).T - (19, 34, 36)) * SPACING / halves
    mask = np.linalg.norm(away, axis=-1).T <= 1.0
    hu = np.where(mask, 40, -850).astype(np.int16)
    return Sample("one", hu, SPACING, shape_of(mask, SPACING), mask)


def _subject(sample: Sample | None = None) -> Subject:
    return subjects([held(sample or _sample())])[0]


def test_subjects_are_measured_as_detections_are() -> None:
    assert _subject().axes_mm == pytest.approx((16.0, 10.0), abs=0.5)


def _told(outline: Outline) -> Sample:
    """An annotation without a mask."""
    sample = _sample()
    told = replace(sample.lesion.told, outline=outline)
    return replace(sample, mask=None, lesion=replace(sample.lesion, told=told))


def test_a_bookmark_is_learned_from_on_its_key_slice_and_a_box_is_not() -> None:
    assert subjects([held(_told(Outline.NOWHERE))]) == []
    bookmark = _subject(_told(Outline.KEY_SLICE))
    assert bookmark.axes_mm == pytest.approx((16.0, 10.0), abs=1.5)
    _, _, mask, known = closeup(bookmark, 0.0, np.random.default_rng(1))
    assert 1 <= known.any(dim=(1, 2)).sum() <= 3
    (key,) = known.flatten(1).sum(1).topk(1).indices.tolist()
    assert _measured(mask)[0] == pytest.approx(_measured(mask[key : key + 1])[0], rel=0.1)


def test_a_sample_of_one_slice_counts_on_that_slice() -> None:
    sample = _sample()
    assert sample.mask is not None
    one = replace(sample, hu=sample.hu[19:20], mask=sample.mask[19:20])
    one = replace(one, lesion=replace(sample.lesion, centre=(0.0, 34.0, 36.0)))
    known = closeup(_subject(one), 0.0, np.random.default_rng(1))[3]
    assert 1 <= known.any(dim=(1, 2)).sum() <= 4


def test_a_close_up_shows_the_lesion_with_its_size() -> None:
    subject, rng = _subject(), np.random.default_rng(1)
    for _ in range(8):
        hu, shown, mask, weight = closeup(subject, 0.0, rng)
        assert hu.shape == shown.shape == mask.shape == weight.shape == SHAPE
        # How many voxels of 2 x 1 x 1 it has for its length says whether it kept its shape.
        long_voxels = _measured(mask)[0]
        size = float(mask.sum()) * 2 * (16.0 / long_voxels) ** 3
        assert size == pytest.approx(4 / 3 * math.pi * 6 * 5 * 8, rel=0.15)
        # What is bright is the lesion, and the spot lies on it.
        assert hu[mask > 0.9].mean() > hu[mask < 0.1].mean() + 400
        assert shown[mask > 0.5].mean() > 0.4


def _measured(mask: torch.Tensor) -> tuple[float, float]:
    """Long and short axis of the mask of a close-up, in voxels in plane."""
    return measured(replace(_sample(), spacing=(2.0, 1.0, 1.0), mask=(mask > 0.5).numpy()))


def test_a_lesion_is_turned_in_plane_and_shown_at_many_scales() -> None:
    subject, rng = _subject(), np.random.default_rng(2)
    masks = [closeup(subject, 0.0, rng)[2] for _ in range(12)]
    axes = np.array([_measured(mask) for mask in masks])
    assert axes[:, 1] / axes[:, 0] == pytest.approx(np.full(12, 10 / 16), abs=0.1)
    assert np.ptp(np.log(axes[:, 0])) > 0.2
    angles = [shape_of((mask > 0.5).numpy(), (2.0, 1.0, 1.0)).angle for mask in masks]
    assert np.ptp(angles) > 1.0


def test_what_lies_beyond_a_sample_does_not_count() -> None:
    sample = _sample()
    assert sample.mask is not None
    cut = replace(sample, hu=sample.hu[:, :50, :50], mask=sample.mask[:, :50, :50])
    subject, rng = _subject(cut), np.random.default_rng(3)
    shares = [float(closeup(subject, 0.0, rng)[3].mean()) for _ in range(6)]
    assert 0.3 < min(shares) < max(shares) < 0.95
    whole = [float(closeup(_subject(), 0.0, rng)[3].mean()) for _ in range(3)]
    assert min(whole) > max(shares)


def test_expectations_lie_around_the_lesion() -> None:
    sample, axes, rng = _sample(), (16.0, 10.0), np.random.default_rng(4)
    views = [expectation(sample, axes, rng) for _ in range(400)]
    centres = np.array([view.centre for view in views])
    assert centres.mean(axis=0) == pytest.approx(np.array(sample.lesion.centre) * SPACING, abs=0.3)
    assert centres.std(axis=0) == pytest.approx([0.06 * 16 + 0.4] * 3, rel=0.15)
    ratios = np.log([view.axes_mm[0] / 16.0 for view in views])
    assert (ratios.mean(), ratios.std()) == pytest.approx((-0.05, 0.19), abs=0.03)
    assert all(view.axes_mm[1] <= view.axes_mm[0] for view in views)


def test_masses_are_expected_too_short() -> None:
    sample, rng = _sample(), np.random.default_rng(5)
    ratios = [expectation(sample, (40.0, 20.0), rng).axes_mm[0] / 40.0 for _ in range(400)]
    assert np.log(ratios).mean() == pytest.approx(-0.25, abs=0.03)


def test_batches_are_those_of_their_seed_and_long_lesions_come_more_often() -> None:
    small = _sample((2.0, 2.0, 2.0))
    both = [_subject(small), _subject(_sample((6.0, 22.0, 22.0)))]
    first, again, other = (
        next(iter(CloseUps(both, 4, 0.2, seed))) for seed in ((1, 0), (1, 0), (2, 0))
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert both[1].frequency / both[0].frequency == pytest.approx(50 / 14, rel=0.05)
    dark = _subject(replace(small, hu=np.full_like(small.hu, -3000)))
    shown = next(iter(CloseUps([dark, both[1]], 40, 0.0, (3, 0))))[0]
    assert 4 <= (shown.amax((1, 2, 3)) < -1500).sum() <= 14  # 40 times 14 / 64 are 9


def test_the_loss_of_a_close_up_worked_by_hand() -> None:
    # Two close-ups of 2 x 10 x 10 voxels, 8 of each inside; logits of 0 everywhere.
    mask = torch.zeros(2, 2, 10, 10)
    mask[..., 4:6, 4:6] = 1.0
    weight = torch.ones_like(mask)
    logit = torch.zeros_like(mask)
    dice = (2 * 0.5 * 8 + 20) / (0.5 * 200 + 8 + 20)
    expected = math.log(2) + 1 - dice
    assert closeup_loss(logit, mask, weight).item() == pytest.approx(expected, rel=1e-4)
    right = closeup_loss(40 * mask - 20, mask, weight).item()
    assert right == pytest.approx(0.0, abs=1e-3)
    parts = closeup_losses(logit, mask, weight)
    assert parts.total().item() == parts.mask.item() == pytest.approx(expected, rel=1e-4)


def test_edges_count_more_and_what_has_no_weight_does_not_count() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1.0
    band = edges(mask)[0, 0, 8]
    assert band.tolist() == [0.0] * 6 + [1.0] * 4 + [0.0] * 6
    at_edge, far = torch.zeros_like(mask), torch.zeros_like(mask)
    at_edge[0, 0, :, 8], far[0, 0, :, 15] = 10.0, 10.0
    right = 20 * mask - 10
    weight = torch.ones_like(mask)
    wrong_there = closeup_loss(right + 2 * at_edge, mask, weight)
    assert wrong_there > 1.5 * closeup_loss(right + 2 * far, mask, weight)
    weight[0, 0, :, 8] = 0.0
    assert closeup_loss(right + 2 * at_edge, mask, weight).item() == pytest.approx(0, abs=1e-3)


def _config(output: Path, steps: int) -> Config:
    return Config(
        output=output,
        task="outline",
        patches=output,
        composition=Composition(batch=2),
        optimisation=Optimisation(
            steps=steps, warmup=2, checkpoint=20, learning_rate=5e-3, average=0.5
        ),
        machine=Machine(device="cpu", loaders=0),
        architecture=SMALL,
    )


def test_training_teaches_to_outline_the_lesion_at_the_spot(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    config, losses = _config(tmp_path, 30), []
    task = Outlining(config, [_subject()])
    begun = state.begin(config, task.network, torch.device("cpu"))

    def report(_done: float, parts: Losses) -> None:
        losses.append(float(parts.total()))

    loop.train(config, task, begun, Peers(), lambda: 0.0, report)
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize("layout", [training_cases.series, training_cases.luna16])
def test_the_command_writes_weights_that_the_detector_reads(
    tmp_path: Path,
    layout: Callable[[Path], training_cases.Written],
    capsys: pytest.CaptureFixture[str],
) -> None:
    written = layout(tmp_path / "data")
    (tmp_path / "outline.toml").write_text(
        f'task = "outline"\noutput = "run"\n[[sources]]\n{written.toml}everything = true\n'
        "[composition]\nbatch = 1\n[optimisation]\nsteps = 2\nwarmup = 1\ncheckpoint = 1\n"
        "[machine]\ndevice = 'cpu'\nloaders = 0\n"
        "[architecture]\nchannels = [8, 8, 8, 8]\nblocks = [1, 1, 1, 1]\n"
    )
    status = main(["--config", str(tmp_path / "outline.toml")])
    if layout is training_cases.luna16:  # spheres: nothing is outlined
        assert (status, capsys.readouterr().err) == (
            2,
            "no patch and no source holds a lesion to learn to outline\n",
        )
        return
    assert status == 0
    assert read_outline(tmp_path / "run").version == "outline-2"
    # It has a checkpoint now, with which another network cannot go on.
    other = (tmp_path / "outline.toml").read_text().replace("[8, 8, 8, 8]", "[16, 8, 8, 8]")
    (tmp_path / "other.toml").write_text(other)
    assert main(["--config", str(tmp_path / "other.toml")]) == 2
    assert "run/last.pt: of another network" in capsys.readouterr().err
    assert main(["--config", str(tmp_path / "outline.toml"), "--name", "mine"]) == 2
    assert capsys.readouterr().err == "--name: weights that outline lesions are called outline\n"


@pytest.mark.parametrize(("name", "batch"), [("outline", 8), ("deeplesion-outline", 16)])
def test_the_shipped_configurations_are_whole(name: str, batch: int) -> None:
    shipped = load(Path(plugin.__file__).parent / "training" / f"{name}.toml")
    assert (shipped.task, shipped.composition.batch) == ("outline", batch)
    assert shipped.architecture is None


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('task = "dance"\noutput = "run"\npatches = "p"\n')
    with pytest.raises(InvalidConfig, match=r"^task: dance is not one of find, outline$"):
        load(tmp_path / "wrong.toml")


def test_packs_for_outlines_are_others_than_those_to_find_in() -> None:
    source = Source("series", Path("somewhere"))
    config = Config(output=Path("run"), sources=(source,))
    names = {prepare._name(source, replace(config, task=task)) for task in ("find", "outline")}
    digest = sha256(repr((source, config.composition.surroundings)).encode()).hexdigest()
    assert f"series-{digest[:12]}" in names
    assert len(names) == 2
