"""The weights that ship: safetensors in half precision, checked against their hash."""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from safetensors.torch import load as parse
from safetensors.torch import save

from plugin.detector.closeup import CloseUpNetwork
from plugin.detector.network import Architecture, Network, Pyramid
from plugin.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Stem of the shipped files `NAME.safetensors` and `NAME.json` in `weights/`.
NAME = "lung"
#: Stem of the files of the network that outlines lesions, whatever found them.
OUTLINE = "outline"

T_co = TypeVar("T_co", bound=Pyramid, covariant=True)


class Weights(NamedTuple, Generic[T_co]):
    """What a pair of files holds."""

    #: Ready for inference.
    network: T_co
    #: Name and version.
    version: str
    #: What the network says where a score is to be 0.5, 0 to 1; of no meaning for outlines.
    midpoint: float = 0.5
    #: SHA-256 of the file they were read from, in hexadecimal; empty for weights from nowhere.
    sha256: str = ""


class DamagedWeights(PluginError):
    """The file of weights is not the one that was shipped; install again."""


def shipped() -> Path:
    """The folder of weights inside the installed package."""
    return Path(str(files("plugin.detector") / "weights"))


def read(folder: Path, name: str = NAME) -> Weights[Network]:
    """The weights in `folder` of the network that finds lesions.

    Raises DamagedWeights when the file's SHA-256 is not the one in its record, or when it is of
    another network.
    """
    return _read(folder, name, Network)


def read_outline(folder: Path) -> Weights[CloseUpNetwork]:
    """The weights in `folder` of the network that outlines lesions, or else the shipped ones.

    Raises as `read` does, and OSError where one of the two files is missing.
    """
    own = any((folder / f"{OUTLINE}.{kind}").is_file() for kind in ("json", "safetensors"))
    return _read(folder if own else shipped(), OUTLINE, CloseUpNetwork)


def _read(folder: Path, name: str, kind: Callable[[Architecture], T_co]) -> Weights[T_co]:
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    content = (folder / f"{name}.safetensors").read_bytes()
    digest = sha256(content).hexdigest()
    if digest != record["sha256"]:
        raise DamagedWeights(f"{name}.safetensors does not have the hash in {name}.json")
    shape = {key: tuple(value) for key, value in record["architecture"].items()}
    network = kind(Architecture(**shape))
    _fill(network, content, name)
    network.eval().requires_grad_(False)
    return Weights(network, str(record["version"]), float(record["midpoint"]), digest)


def _fill(network: Pyramid, content: bytes, name: str) -> None:
    try:
        network.load_state_dict({key: value.float() for key, value in parse(content).items()})
    except RuntimeError as error:
        what = "finds" if isinstance(network, Network) else "outlines"
        message = f"{name}.safetensors is not of a network that {what} lesions"
        raise DamagedWeights(message) from error


def write(weights: Weights[Pyramid], folder: Path, name: str = NAME) -> None:
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
