"""Train a detector, or go on with it: `lesionmark train`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import torch
from rich.progress import Progress

from plugin.detector.checkpoint import NAME, OUTLINE, Weights, write
from plugin.detector.device import choose, keep_memory
from plugin.errors import PluginError
from plugin.training.config import Config, InvalidConfig, load
from plugin.training.loop import train
from plugin.training.machine import check_processes, choose_precision
from plugin.training.peers import Peers, together
from plugin.training.prepare import prepare
from plugin.training.state import State, begin, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import TaskID

    from plugin.training.losses import Losses
    from plugin.training.tasks import Task


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        config = load(arguments.config)
        device = choose(config.machine.device)
        choose_precision(config.machine.precision, device)
        check_processes(config.machine.processes, device)
        config.output.mkdir(parents=True, exist_ok=True)
        keep_memory()
        if config.machine.processes > 1:
            # Processes can only be forked from one that has no threads.
            torch.set_num_threads(1)
        name = _name(config, arguments.name)
        task = _prepare(config)
        check(config, task.network)
    except (PluginError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.prepare:
        return 0
    together(config.machine.processes, lambda peers: _run(config, device, task, peers, name))
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser("lesionmark train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--name", help=f"of weights that find lesions; default: {NAME}")
    parser.add_argument("--prepare", action="store_true", help="pack the sources, and no more")
    return parser


def _name(config: Config, wanted: str | None) -> str:
    """Of the weights. Raises InvalidConfig for one under which no detector would look."""
    if config.task == "find":
        return wanted or NAME
    if wanted not in (None, OUTLINE):
        raise InvalidConfig(f"--name: weights that outline lesions are called {OUTLINE}")
    return OUTLINE


def _prepare(config: Config) -> Task:
    """What is learned; sources that are packed for the first time show how far they are."""
    with Progress() as bar:
        bars: dict[str, TaskID] = {}

        def report(source: str, done: float) -> None:
            if source not in bars:
                bars[source] = bar.add_task(f"packing {source}", total=1.0)
            bar.update(bars[source], completed=done)

        return prepare(config, report)


def _run(config: Config, device: torch.device, task: Task, peers: Peers, name: str) -> None:
    """One process of a run; the first one shows its progress and writes the weights."""
    state = begin(config, task.network, device)
    with Progress(disable=peers.rank > 0) as bar:
        _train(config, task, state, peers, bar)
    if peers.rank == 0:
        weights = Weights(state.average.network, f"{name}-{state.step}", midpoint=0.5)
        write(weights, config.output, name)


def _train(config: Config, task: Task, state: State, peers: Peers, bar: Progress) -> None:
    shown = bar.add_task("training", total=1.0)

    def report(done: float, parts: Losses) -> None:
        text = f"step {state.step}, loss {float(parts.total()):.3f}"
        bar.update(shown, completed=done, description=text)

    train(config, task, state, peers, monotonic, report)


if __name__ == "__main__":
    sys.exit(main())
