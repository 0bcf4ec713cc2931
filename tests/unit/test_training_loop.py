"""Losses worked out by hand, the schedule, resuming, and the configuration."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from plugin.bookmark import LesionType
from plugin.detector.network import Architecture, Network
from plugin.training import loop, state
from plugin.training.__main__ import main
from plugin.training.backgrounds import make_background
from plugin.training.blocks import Pool
from plugin.training.config import (
    BackgroundSource,
    Composition,
    Config,
    InvalidConfig,
    Machine,
    Optimisation,
    load,
)
from plugin.training.curves import read_log, write_log
from plugin.training.ema import MovingAverage
from plugin.training.losses import Losses, focal, mask_loss, smooth_l1
from plugin.training.machine import (
    check_processes,
    choose_precision,
    mixed,
)
from plugin.training.peers import Peers
from plugin.training.shape import shape_of
from plugin.training.tasks import Finding
from plugin.training.tiles import Tile

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """So small a network is faster in one thread, and much faster where others work too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SMALL = Architecture(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1))


def test_the_focal_loss_of_three_voxels() -> None:
    # p = 0.5 everywhere: a centre, a neighbour of target 0.5, background; one block counts as two
    # lesions at least.
    logit, target = torch.zeros(1, 1, 1, 1, 3), torch.tensor([1.0, 0.5, 0.0]).reshape(1, 1, 1, 1, 3)
    expected = 0.25 * math.log(2) * (1 + 0.5**4 + 1) / 2
    assert focal(logit, target, torch.ones_like(target)).item() == pytest.approx(expected)
    silent = torch.tensor([1.0, 1.0, 0.0]).reshape(target.shape)
    assert focal(logit, target, silent).item() == pytest.approx(expected - 0.25 * math.log(2) / 2)


def test_smooth_l1_turns_at_a_fifth_and_counts_only_what_has_weight() -> None:
    value = torch.tensor([[0.1, 1.2, 50.0]]).reshape(1, 1, 3)
    weight = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 1, 3)
    expected = (0.5 * 0.1**2 / 0.2 + 1.2 - 0.1) / 2
    assert smooth_l1(value, torch.zeros_like(value), weight).item() == pytest.approx(expected)


def test_the_mask_loss_rewards_overlap_and_is_silent_without_weight() -> None:
    target = torch.zeros(1, 1, 2, 8, 8)
    target[..., 2:6, 2:6] = 1.0
    right, wrong = 20 * target - 10, 10 - 20 * target
    weight = torch.ones_like(target)
    assert mask_loss(right, target, weight).item() == pytest.approx(0.0, abs=1e-3)
    assert mask_loss(wrong, target, weight).item() > 5
    assert mask_loss(wrong, target, 0 * weight).item() == pytest.approx(0.0)


def test_the_rate_rises_falls_and_ends() -> None:
    settings = Optimisation(steps=1000, warmup=100, learning_rate=1.0)
    rates = [loop.learning_rate(settings, s, loop.progress(settings, s, 0.0)) for s in (0, 99, 500)]
    assert rates == pytest.approx([0.01, 0.976, 0.505], abs=0.01)
    assert loop.learning_rate(settings, 1000, 1.0) == pytest.approx(0.01)


def test_minutes_draw_the_schedule_together() -> None:
    settings = Optimisation(steps=1000, minutes=10)
    assert loop.progress(settings, 100, 0.0) == 0.1
    assert loop.progress(settings, 100, 300.0) == 0.5
    assert loop.progress(settings, 100, 6000.0) == 1.0


def _pools() -> tuple[Pool, Pool]:
    mask = np.zeros((8, 24, 24), bool)
    mask[2:6, 8:16, 6:18] = True
    tile = Tile(np.where(mask, 40, -850).astype(np.int16), mask, shape_of(mask, (2.0, 1.0, 1.0)))
    hu = np.random.default_rng(0).normal(-850, 30, (16, 96, 96)).astype(np.int16)
    ground = make_background("b", hu, np.empty((0, 2, 3)), (2.0, 1.0, 1.0), 1.0)
    pool = Pool([[tile]] * 4, [ground])
    return pool, pool


def _config(output: Path, steps: int) -> Config:
    return Config(
        patches=output,
        output=output,
        backgrounds=(BackgroundSource(output),),
        composition=Composition(batch=1, shape=(8, 48, 48), negative=0.0),
        optimisation=Optimisation(steps=steps, warmup=2, checkpoint=2, mining=4, average=0.5),
        machine=Machine(device="cpu", loaders=0),
        architecture=SMALL,
    )


def _train(config: Config, stop_at: int | None = None) -> state.State:
    class Interrupted(Exception):
        pass

    task = Finding(config, _pools())
    begun = state.begin(config, task.network, torch.device("cpu"))

    def report(_done: float, _parts: object) -> None:
        if stop_at is not None and begun.step > stop_at:
            raise Interrupted

    with suppress(Interrupted):
        loop.train(config, task, begun, Peers(), lambda: 0.0, report)
    return begun


def _begin(config: Config) -> state.State:
    return state.begin(config, lambda: Network(SMALL), torch.device("cpu"))


def _weights(of: state.State) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in of.average.network.parameters()])


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected = _train(_config(whole, 6))
    _train(_config(broken, 6), stop_at=2)
    resumed = _train(_config(broken, 6))
    assert resumed.step == expected.step == 6
    assert torch.equal(_weights(expected), _weights(resumed))
    assert all(len(each.lesions) == 4 for each in resumed.difficulties)
    assert (broken / "curves.png").stat().st_size > 1000


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    runs = []
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        runs.append(_train(replace(_config(tmp_path / str(seed), 2), seed=seed)))
    assert not torch.equal(_weights(runs[0]), _weights(runs[1]))


def test_a_warm_start_takes_the_weights_and_begins_the_schedule_anew(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    before = _train(_config(first, 6))
    config = replace(_config(second, 2), start=first / state.CHECKPOINT)
    config = replace(config, optimisation=replace(config.optimisation, weight_decay=0.5))
    begun = _begin(config)
    assert torch.equal(_weights(begun), _weights(before))
    assert begun.step == 0
    assert len(begun.optimiser.state_dict()["state"]) > 0
    assert begun.optimiser.param_groups[0]["weight_decay"] == 0.5
    assert begun.difficulties[0].lesions.tolist() == before.difficulties[0].lesions.tolist()
    # Once it has a checkpoint of its own, the run goes on with that.
    _train(config)
    assert _begin(config).step == 2


def test_only_a_network_that_has_learned_is_asked_at_once_what_is_hard(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert len(_train(_config(first, 2)).difficulties[0].lesions) == 0
    config = replace(_config(second, 2), start=first / state.CHECKPOINT)
    assert len(_train(config).difficulties[0].lesions) == 4


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    config, losses = _config(tmp_path, 40), []
    loop.train(
        config,
        Finding(config, _pools()),
        _begin(config),
        Peers(),
        lambda: 0.0,
        lambda _done, parts: losses.append(float(parts.total())),
    )
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:8])


def test_a_step_that_was_repeated_counts_once_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    for number, value in ((1, 5.0), (26, 4.0), (51, 3.0), (26, 2.0)):
        part = torch.tensor(value)
        write_log(log, number, 1e-3, Losses(part, part, part, part))
    assert [(row["step"], row["centre"]) for row in read_log(log)] == [(1, 5), (26, 2), (51, 3)]


def test_the_average_follows_the_network() -> None:
    network = Network(SMALL)
    average = MovingAverage(network, decay=0.75)
    with torch.no_grad():
        before = network.last.gain.clone()
        network.last.gain += 1.0
    average.update(network, step=1000)
    assert torch.allclose(average.network.last.gain, before + 0.25)


@pytest.mark.parametrize(
    ("name", "precision"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_the_network_is_computed_in_the_precision_asked_for(
    name: str, precision: torch.dtype
) -> None:
    device = torch.device("cpu")
    with mixed(device, choose_precision(name, device)):
        assert Network(SMALL)(torch.zeros(1, 2, 8, 16, 16)).centre.dtype == precision


def test_a_run_that_cannot_be_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = tmp_path / "a.toml"
    path.write_text(GOOD + '[machine]\ndevice = "cuda"\n')
    assert main(["--config", str(path)]) == 2
    assert "cuda" in capsys.readouterr().err


def test_a_machine_that_cannot_be_is_named() -> None:
    with pytest.raises(InvalidConfig, match=r"machine\.precision: float8"):
        choose_precision("float8", torch.device("cpu"))
    with pytest.raises(InvalidConfig, match=r"machine\.processes: 2"):
        check_processes(2, torch.device("cuda"))


GOOD = """
patches = "nodules"
output = "out"
[[backgrounds]]
series = "chest"
excluded = [[1, 2, 3, 4, 5, 6]]
[optimisation]
steps = 10
"""


def test_a_configuration_starts_at_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(GOOD)
    config = load(path)
    assert config.patches == tmp_path / "nodules"
    assert config.backgrounds == (
        BackgroundSource(tmp_path / "chest", excluded=((1, 2, 3, 4, 5, 6),)),
    )
    assert (config.optimisation.steps, config.composition) == (10, Composition())


SOURCE = (
    GOOD
    + """
[[sources]]
kind = "deeplesion"
folder = "deep"
"""
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("steps", "stepz"), "optimisation.stepz"),
        (GOOD.replace("patches", "patchez"), "patchez"),
        (GOOD.replace('patches = "nodules"', ""), "sources: nothing to learn from"),
        (SOURCE.replace("deeplesion", "deeplesions"), r"sources\[0\].kind: deeplesions is not one"),
        (SOURCE + 'outline = "box"\n', r"sources\[0\].outline: box is not one of none, ellipse"),
        (SOURCE + "unmarked = 1.5\n", r"sources\[0\].unmarked: 1.5"),
        (SOURCE + 'types = { node = "lymph" }\n', r"sources\[0\].types: 'node' is 'lymph'"),
        (SOURCE + '[architecture]\ntypes = ["lung"]\n', "architecture.types"),
        (GOOD.replace("series", "folder"), r"backgrounds\[0\].folder"),
        ('patches = "a"\noutput = "b"\n', "backgrounds"),
        (GOOD + "mining = 100\n", "optimisation.mining"),
        (GOOD + "[composition]\nshape = [24, 96, 90]\n", "composition.shape"),
        ("patches =", "a.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=message):
        load(path)


def test_the_shipped_configuration_is_valid() -> None:
    config = load(Path(loop.__file__).parent / "lung.toml")
    assert config.machine == Machine()
    assert config.composition == Composition()
    assert config.optimisation == Optimisation()
    assert len(config.backgrounds) == 4


def test_the_configuration_for_deeplesion_is_valid() -> None:
    config = load(Path(loop.__file__).parent / "deeplesion.toml")
    (source,) = config.sources
    assert (source.kind, source.complete, source.everything) == ("deeplesion", False, False)
    assert config.architecture.types == tuple(LesionType)
