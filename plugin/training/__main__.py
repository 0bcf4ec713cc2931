"""`python -m plugin.training --config FILE`: train a detector, or go on with it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import torch
from rich.progress import Progress

from plugin.detector.checkpoint import Weights, write
from plugin.training.config import Config, InvalidConfig, load
from plugin.training.loop import State, new_state, resume, train
from plugin.training.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin.training.losses import Losses


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        config = load(arguments.config)
    except (InvalidConfig, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = _state(config, device)
    _train(config, state)
    weights = Weights(state.average.network, f"{arguments.name}-{state.step}", midpoint=0.5)
    write(weights, config.output, arguments.name)
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m plugin.training", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--name", default="lung", help="of the weights; default: %(default)s")
    return parser


def _state(config: Config, device: torch.device) -> State:
    config.output.mkdir(parents=True, exist_ok=True)
    state = new_state(config, device)
    checkpoint = config.output / "last.pt"
    if checkpoint.exists():
        resume(state, checkpoint)
    return state


def _train(config: Config, state: State) -> None:
    pools = prepare(config)
    with Progress() as bar:
        task = bar.add_task("training", total=1.0)

        def report(done: float, parts: Losses) -> None:
            text = f"step {state.step}, loss {float(parts.total()):.3f}"
            bar.update(task, completed=done, description=text)

        train(config, pools, state, monotonic, report)


if __name__ == "__main__":
    sys.exit(main())
