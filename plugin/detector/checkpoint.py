"""The weights that ship: safetensors in half precision, checked against their hash."""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load as parse
from safetensors.torch import save

from plugin.detector.network import Architecture, Network
from plugin.errors import PluginError

#: Stem of the shipped files `NAME.safetensors` and `NAME.json` in `weights/`.
NAME = "lung"


class Weights(NamedTuple):
    """What a pair of files holds."""

    #: Ready for inference.
    network: Network
    #: Name and version.
    version: str
    #: What the network says where a score is to be 0.5, 0 to 1.
    midpoint: float
    #: SHA-256 of the file they were read from, in hexadecimal; empty for weights from nowhere.
    sha256: str = ""


class DamagedWeights(PluginError):
    """The file of weights is not the one that was shipped; install again."""


def shipped() -> Path:
    """The folder of weights inside the installed package."""
    return Path(str(files("plugin.detector") / "weights"))


def read(folder: Path, name: str = NAME) -> Weights:
    """The weights in `folder`.

    Raises DamagedWeights when the file's SHA-256 is not the one in its record.
    """
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    content = (folder / f"{name}.safetensors").read_bytes()
    digest = sha256(content).hexdigest()
    if digest != record["sha256"]:
        raise DamagedWeights(f"{name}.safetensors does not have the hash in {name}.json")
    shape = {key: tuple(value) for key, value in record["architecture"].items()}
    network = Network(Architecture(**shape))
    network.load_state_dict({key: value.float() for key, value in parse(content).items()})
    network.eval().requires_grad_(False)
    return Weights(network, str(record["version"]), float(record["midpoint"]), digest)


def write(weights: Weights, folder: Path, name: str = NAME) -> None:
    """Write a network in half precision, with the record that names its hash."""
    network = weights.network
    state = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    content = save(state)
    record = {
        "version": weights.version,
        "midpoint": weights.midpoint,
        "architecture": network.architecture.to_record(),
        "sha256": sha256(content).hexdigest(),
    }
    (folder / f"{name}.safetensors").write_bytes(content)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
