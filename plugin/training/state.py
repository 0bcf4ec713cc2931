"""What changes while training: made, written to a checkpoint, taken up again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from plugin.training.blocks import Difficulty
from plugin.training.config import InvalidConfig
from plugin.training.ema import MovingAverage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from plugin.detector.network import Pyramid
    from plugin.training.config import Config

#: Name of a checkpoint in the folder of its run.
CHECKPOINT = "last.pt"


@dataclass
class State:
    """What a checkpoint holds; the same in every process of a run."""

    #: The network that learns.
    network: Pyramid
    #: Its moving average, which is what ships.
    average: MovingAverage
    optimiser: torch.optim.Optimizer
    #: Steps done.
    step: int = 0
    #: Seconds spent, over all interruptions.
    seconds: float = 0.0
    #: What is hard in the pools at full and at half size.
    difficulties: list[Difficulty] = field(default_factory=lambda: [Difficulty(), Difficulty()])

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return next(self.network.parameters()).device


def check(config: Config, make: Callable[[], Pyramid]) -> None:
    """Raises InvalidConfig where a run would go on from a checkpoint of another network."""
    path = _checkpoint(config)
    if path is not None:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if _shapes(content["network"]) != _shapes(make().state_dict()):
            raise InvalidConfig(f"{path}: of another network; each needs an `output` of its own")


def _checkpoint(config: Config) -> Path | None:
    """What a run goes on from: its own checkpoint, or else that of another run."""
    own = config.output / CHECKPOINT
    return own if own.exists() else config.start


def _shapes(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in values.items()}


def begin(config: Config, make: Callable[[], Pyramid], device: torch.device) -> State:
    """The state in which a run goes on: where it was left, or at its start.

    `make` makes a network before training.
    """
    state = new_state(config, make, device)
    checkpoint = config.output / CHECKPOINT
    if checkpoint.exists():
        resume(state, checkpoint)
    elif config.start is not None:
        warm_start(state, config.start)
    return state


def new_state(config: Config, make: Callable[[], Pyramid], device: torch.device) -> State:
    """A network before training."""
    torch.manual_seed(config.seed)
    network = make().to(device)
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
        "difficulties": [_to_record(each) for each in state.difficulties],
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def resume(state: State, path: Path) -> None:
    """Take a checkpoint up again, wherever it was computed."""
    content = _load_weights(state, path)
    state.step, state.seconds = content["step"], content["seconds"]


def warm_start(state: State, path: Path) -> None:
    """Start with what another run has learned: the schedule begins anew, the rest goes on."""
    _load_weights(state, path)


def _load_weights(state: State, path: Path) -> dict[str, Any]:
    """Take network, average, optimiser and difficulties from a checkpoint; its content."""
    content: dict[str, Any] = torch.load(path, map_location=state.device, weights_only=True)
    state.network.load_state_dict(content["network"])
    state.average.network.load_state_dict(content["average"])
    # Moments come from the checkpoint; rates and decays are for the configuration to say.
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({**content["optimiser"], "param_groups": groups})
    state.difficulties = [_from_record(each) for each in content["difficulties"]]
    return content


def _to_record(difficulty: Difficulty) -> dict[str, Any]:
    negatives = {name: voxels.tolist() for name, voxels in difficulty.negatives.items()}
    return {"negatives": negatives, "lesions": difficulty.lesions.tolist()}


def _from_record(record: dict[str, Any]) -> Difficulty:
    negatives = {
        name: np.array(voxels, np.int32).reshape(-1, 3)
        for name, voxels in record["negatives"].items()
    }
    return Difficulty(negatives, np.array(record["lesions"], np.float64))
