"""The training loop: the same on a CPU and on a GPU, resumed where it was interrupted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from plugin.training.curves import draw_curves, write_log
from plugin.training.losses import Losses
from plugin.training.machine import choose_precision, mixed
from plugin.training.state import CHECKPOINT, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from torch import Tensor
    from torch.utils.data import IterableDataset

    from plugin.training.config import Config, Optimisation
    from plugin.training.peers import Peers
    from plugin.training.state import State
    from plugin.training.tasks import Task

#: Share of the highest learning rate that is left at the end.
_LAST_RATE = 0.01
#: Steps between lines of the log.
_LOG_EVERY = 25
#: Batches that a loader makes ahead.
_AHEAD = 4


def train(
    config: Config,
    task: Task,
    state: State,
    peers: Peers,
    clock: Callable[[], float],
    report: Callable[[float, Losses], None],
) -> None:
    """Train until the configuration's end; `report` gets the progress (0 to 1) and the losses.

    `clock` counts seconds; it decides nothing unless the configuration limits the minutes. Of
    several peers the first one reports and writes.
    """
    settings = config.optimisation
    while (done := progress(settings, state.step, state.seconds)) < 1.0:
        started = clock()
        # A new network finds everything hard.
        if state.step % settings.mining == 0 and (state.step or config.start):
            task.search(state, peers)
        for batch in _round(config, task, state, peers):
            rate = learning_rate(settings, state.step, done)
            parts = step(config, task, state, batch, rate, peers)
            now = clock()
            state.seconds, started = state.seconds + peers.agree(now - started), now
            done = progress(settings, state.step, state.seconds)
            if peers.rank == 0:
                _log(config, state.step, rate, parts)
                report(done, parts)
            if done >= 1.0:
                break
        if peers.rank == 0:
            save(state, config.output / CHECKPOINT)
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


def step(
    config: Config, task: Task, state: State, batch: list[Tensor], rate: float, peers: Peers
) -> Losses:
    """One step of the optimiser and of the moving average, from the batches of all peers."""
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    precision = choose_precision(config.machine.precision, state.device)
    parts = task.losses(state.network, batch, mixed(state.device, precision))
    parts.total().backward()  # type: ignore[no-untyped-call]
    parts = Losses(*(part.detach() for part in parts))
    parameters = list(state.network.parameters())
    peers.average([*parts, *(p.grad for p in parameters if p.grad is not None)])
    clip_grad_norm_(parameters, config.optimisation.clip)
    state.optimiser.step()
    state.optimiser.zero_grad()
    state.average.update(state.network, state.step)
    state.step += 1
    return parts


def _round(config: Config, task: Task, state: State, peers: Peers) -> Iterator[list[Tensor]]:
    """The batches until the next checkpoint."""
    batches = task.batches(state, peers.rank)
    loader = iter(_loader(batches, config.machine.loaders, state.device))
    for _ in range(config.optimisation.checkpoint):
        yield [part.to(state.device, non_blocking=True) for part in next(loader)]


def _loader(
    batches: IterableDataset[tuple[Tensor, ...]], processes: int, device: torch.device
) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=processes,
        prefetch_factor=_AHEAD if processes else None,
        pin_memory=device.type == "cuda",
        # The pools are larger than what one would want to send to each of them.
        multiprocessing_context="fork" if processes else None,
    )


def _log(config: Config, number: int, rate: float, parts: Losses) -> None:
    if (number - 1) % _LOG_EVERY == 0:
        write_log(config.output / "log.csv", number, rate, parts)
