"""The training configuration: a TOML file into frozen, checked settings."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from plugin.detector.network import Architecture
from plugin.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

#: Voxels (z, y, x) of a block are multiples of these: the network halves them so often.
_UNITS = (8, 16, 16)


class InvalidConfig(PluginError):
    """The configuration is wrong; the message names the key."""


@dataclass(frozen=True)
class BackgroundSource:
    """A series without lesions, or with lesions in known places."""

    #: Folder of its instances.
    series: Path
    #: How often it is drawn, relative to the others.
    weight: float = 1.0
    #: Lesions: first slice, last slice, first row, last row, first column, last column.
    excluded: tuple[tuple[int, int, int, int, int, int], ...] = ()


@dataclass(frozen=True)
class Composition:
    """How batches are made."""

    #: Blocks in a batch.
    batch: int = 2
    #: Voxels of a block (z, y, x) of 2 x 1 x 1 mm; multiples of `_UNITS`.
    shape: tuple[int, int, int] = (24, 96, 96)
    #: Versions of each lesion that are made ahead.
    versions: int = 6
    #: Share of blocks without lesions.
    negative: float = 0.2
    #: Share of blocks at half size.
    half: float = 0.15
    #: Shortest long axis of lesions shown at half size, mm.
    half_from_mm: float = 14.0
    #: Share of the other blocks that show lesions in their own surroundings, side by side.
    mosaic: float = 0.4
    #: Share of lesions made as faint as ground glass.
    faded: float = 0.15


@dataclass(frozen=True)
class Optimisation:
    """How weights are learned."""

    #: Steps of the optimiser.
    steps: int = 6000
    #: End earlier after so many minutes, with the schedule drawn together; 0 for never.
    #: The result then depends on the machine.
    minutes: float = 0.0
    #: Highest learning rate.
    learning_rate: float = 1.0e-3
    #: Steps until it is reached.
    warmup: int = 250
    #: Weight decay of the filters.
    weight_decay: float = 0.02
    #: Longest gradient.
    clip: float = 6.0
    #: Decay of the moving average of the weights.
    average: float = 0.998
    #: Steps between checkpoints.
    checkpoint: int = 120
    #: Steps between searches for what is hard: false peaks and lesions that are missed; a
    #: multiple of `checkpoint`.
    mining: int = 480


@dataclass(frozen=True)
class Machine:
    """Where a run is computed; the result depends on it only by rounding.

    But for `processes` and `loaders`: each has its own share of the examples.
    """

    #: "cpu", "cuda", "mps", or "auto" for the best there is.
    device: str = "auto"
    #: "float32", "bfloat16", or "auto" for bfloat16 where the device multiplies it faster.
    precision: str = "auto"
    #: Processes of one CPU thread each, whose gradients are averaged; 1 uses every thread.
    processes: int = 1
    #: Processes that make batches ahead for each of these; 0 for none.
    loaders: int = 1


@dataclass(frozen=True)
class Config:
    """Everything a training run depends on."""

    #: Folder of nodule patches.
    patches: Path
    #: Folder for checkpoints, log and curves.
    output: Path
    #: Lesion-free CT.
    backgrounds: tuple[BackgroundSource, ...]
    #: Checkpoint of another run whose weights this one starts with.
    start: Path | None = None
    #: Of everything random.
    seed: int = 1
    composition: Composition = Composition()
    optimisation: Optimisation = Optimisation()
    machine: Machine = Machine()
    architecture: Architecture = field(default_factory=Architecture)


def load(path: Path) -> Config:
    """Read a configuration; relative paths start at its folder.

    Raises InvalidConfig naming what is missing, unknown or of the wrong kind.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"{path}: {error}") from error
    backgrounds = tuple(
        _build(BackgroundSource, item, f"backgrounds[{i}]", path.parent)
        for i, item in enumerate(values.pop("backgrounds", []))
    )
    if not backgrounds:
        raise InvalidConfig("backgrounds: at least one series is needed")
    sections = {
        "composition": Composition,
        "optimisation": Optimisation,
        "machine": Machine,
        "architecture": Architecture,
    }
    built: dict[str, Any] = {
        name: _build(kind, values.pop(name, {}), name, path.parent)
        for name, kind in sections.items()
    }
    config = _build(Config, values | built | {"backgrounds": backgrounds}, "", path.parent)
    _check(config)
    return config


def _check(config: Config) -> None:
    """Raises InvalidConfig for settings that do not go together."""
    settings, shape = config.optimisation, config.composition.shape
    if settings.mining % settings.checkpoint:
        raise InvalidConfig("optimisation.mining: is not a multiple of optimisation.checkpoint")
    if any(size % unit for size, unit in zip(shape, _UNITS, strict=True)):
        raise InvalidConfig(f"composition.shape: is not a multiple of {_UNITS}")


def _build(kind: type[T], values: dict[str, Any], where: str, root: Path) -> T:
    """A settings class from the values of its section."""
    known = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise InvalidConfig(f"{where}.{key}".lstrip(".") + ": unknown key")
    converted = {key: _convert(value, known[key], root) for key, value in values.items()}
    try:
        return kind(**converted)
    except TypeError as error:
        raise InvalidConfig(f"{where or 'top level'}: {error}") from error


def _convert(value: Any, annotation: str, root: Path) -> Any:
    if annotation.startswith("Path"):
        return root / value
    if isinstance(value, list):
        return tuple(_convert(item, "", root) for item in value)
    return value
