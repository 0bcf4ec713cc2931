"""The training loop: the same on a CPU and on a GPU, resumed where it was interrupted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from plugin.detector.network import Network, normalise
from plugin.training.blocks import Blocks, Mix, Pool
from plugin.training.curves import draw_curves, write_log
from plugin.training.ema import MovingAverage
from plugin.training.losses import Losses, losses
from plugin.training.mining import mine
from plugin.training.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from plugin.training.config import Config, Optimisation

#: Share of the highest learning rate that is left at the end.
_LAST_RATE = 0.01
#: Steps between lines of the log.
_LOG_EVERY = 25


@dataclass
class State:
    """What changes while training, and what a checkpoint holds."""

    #: The network that learns.
    network: Network
    #: Its moving average, which is what ships.
    average: MovingAverage
    optimiser: torch.optim.Optimizer
    #: Steps done.
    step: int = 0
    #: Seconds spent, over all interruptions.
    seconds: float = 0.0
    #: Hard negatives of each pool by the name of the background.
    hard: list[dict[str, np.ndarray]] = field(default_factory=lambda: [{}, {}])


def new_state(config: Config, device: torch.device) -> State:
    """A network before training."""
    torch.manual_seed(config.seed)
    network = Network(config.architecture).to(device)
    filters = [p for name, p in network.named_parameters() if name.endswith("weight")]
    others = [p for name, p in network.named_parameters() if not name.endswith("weight")]
    settings = config.optimisation
    groups: list[dict[str, Any]] = [{"params": filters}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    return State(network, MovingAverage(network, settings.average), optimiser)


def save(state: State, path: Path) -> None:
    """Write a checkpoint; an interruption leaves the former one."""
    content = {
        "network": state.network.state_dict(),
        "average": state.average.network.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "hard": [{name: v.tolist() for name, v in each.items()} for each in state.hard],
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def resume(state: State, path: Path) -> None:
    """Take a checkpoint up again."""
    content = torch.load(path, weights_only=True)
    state.network.load_state_dict(content["network"])
    state.average.network.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.step, state.seconds = content["step"], content["seconds"]
    state.hard = [
        {name: np.array(v, np.int32).reshape(-1, 3) for name, v in each.items()}
        for each in content["hard"]
    ]


def train(
    config: Config,
    pools: tuple[Pool, Pool],
    state: State,
    clock: Callable[[], float],
    report: Callable[[float, Losses], None],
) -> None:
    """Train until the configuration's end; `report` gets the progress (0 to 1) and the losses.

    `clock` counts seconds; it decides nothing unless the configuration limits the minutes.
    """
    settings = config.optimisation
    while (done := progress(settings, state.step, state.seconds)) < 1.0:
        if state.step and state.step % settings.mining == 0:
            _mine(state, pools)
        for batch in _round(config, pools, state):
            started = clock()
            rate = learning_rate(settings, state.step, done)
            parts = step(state, batch, rate, settings.clip)
            state.seconds += clock() - started
            done = progress(settings, state.step, state.seconds)
            _log(config.output, state.step, rate, parts)
            report(done, parts)
            if done >= 1.0:
                break
        save(state, config.output / "last.pt")
        draw_curves(config.output / "log.csv", config.output / "curves.png")


def progress(settings: Optimisation, step: int, seconds: float) -> float:
    """How much of a run is done, 0 to 1: of its steps or of its minutes, whichever is more."""
    by_time = seconds / (60 * settings.minutes) if settings.minutes else 0.0
    return min(1.0, max(step / settings.steps, by_time))


def learning_rate(settings: Optimisation, step: int, done: float) -> float:
    """Linear warm-up, then half a cosine."""
    warm = min(1.0, (step + 1) / settings.warmup)
    cosine = 0.5 * (1.0 + math.cos(math.pi * done))
    return settings.learning_rate * warm * (_LAST_RATE + (1.0 - _LAST_RATE) * cosine)


def step(state: State, batch: list[Tensor], rate: float, clip: float) -> Losses:
    """One step of the optimiser and of the moving average."""
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    hu, *maps = batch
    with torch.autocast(hu.device.type, torch.bfloat16):
        predicted = state.network(normalise(hu))
    parts = losses(predicted, Targets(*maps))
    parts.total().backward()  # type: ignore[no-untyped-call]
    clip_grad_norm_(state.network.parameters(), clip)
    state.optimiser.step()
    state.optimiser.zero_grad()
    state.average.update(state.network, state.step)
    state.step += 1
    return Losses(*(part.detach() for part in parts))


def _round(config: Config, pools: tuple[Pool, Pool], state: State) -> Iterator[list[Tensor]]:
    """The batches until the next checkpoint, seeded by the step they start at."""
    made = config.composition
    mix = Mix(made.batch, made.shape, made.negative, made.half)
    full, half = (Pool(p.tiles, p.backgrounds, h) for p, h in zip(pools, state.hard, strict=True))
    blocks = Blocks(full, half, mix, (config.seed, state.step))
    device = next(state.network.parameters()).device
    loader = iter(DataLoader(blocks, batch_size=None, num_workers=1, prefetch_factor=4))
    for _ in range(config.optimisation.checkpoint):
        yield [part.to(device) for part in next(loader)]


def _mine(state: State, pools: tuple[Pool, Pool]) -> None:
    for pool, hard in zip(pools, state.hard, strict=True):
        for background in pool.backgrounds:
            hard[background.name] = mine(state.average.network, background)


def _log(folder: Path, number: int, rate: float, parts: Losses) -> None:
    if (number - 1) % _LOG_EVERY == 0:
        write_log(folder / "log.csv", number, rate, parts)
