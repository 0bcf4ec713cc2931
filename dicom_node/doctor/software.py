"""What is installed: decoders, the model and the device that it runs on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID

import plugin
from dicom_node import service
from dicom_node.doctor.check import failed, passed, skipped
from dicom_node.errors import ConfigError, NodeError
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.config import Settings
    from dicom_node.doctor.check import Check
    from plugin import Facts

_SYNTAXES: Final = "transfer syntaxes"
#: Is there where the kernel has a driver for an NVIDIA card.
_NVIDIA: Final = Path("/proc/driver/nvidia/version")


def transfer_syntaxes(settings: Settings) -> Iterator[Check]:
    """Whether an image is decoded from each transfer syntax in which one is accepted."""
    try:
        trial = plugin.trial(settings.plugin.model_dump())
    except ImportError as error:
        yield failed(_SYNTAXES, f"plugin.module: {error}", "correct plugin.module, or install it")
        return
    if trial is None:
        yield skipped(_SYNTAXES, "the plugin brings no images to decode")
        return
    faults = trial.undecodable()
    for uid, reason in faults.items():
        yield failed(f"transfer syntax {UID(uid).name}", reason, _install_again())
    accepted = {str(syntax) for syntax in TRANSFER_SYNTAXES}
    good, more = len(trial.decodable() - faults.keys()), len(accepted - trial.decodable())
    if not faults:
        yield passed(
            _SYNTAXES,
            f"an image decoded from each of {good}; {more} more, for film and for several "
            "components, are accepted and kept, but not analysed",
        )


def _install_again() -> str:
    return "install again with all of its requirements: pip install --force-reinstall lesionmark"


def model(settings: Settings) -> Iterator[Check]:
    """Whether the weights are those that were shipped, and run on the device asked for."""
    try:
        facts = service.load_plugin(settings).facts()
    except ConfigError as error:
        advice = "correct [plugin]; for a graphics card, see that its driver is installed"
        yield failed("plugin", str(error), advice)
    except NodeError as error:
        yield failed("model", str(error), _install_again())
    else:
        digest = f", SHA-256 {facts.weights_sha256} as shipped" if facts.weights_sha256 else ""
        yield passed("model", f"{facts.model}{digest}")
        yield _device(facts, _NVIDIA)


def _device(facts: Facts, nvidia: Path) -> Check:
    if facts.device == "cpu" and nvidia.exists():
        advice = "install the build of torch for CUDA and this driver, or set plugin.device = 'cpu'"
        return failed("device", "cpu, although there is an NVIDIA driver", advice)
    memory = ""
    if facts.memory_bytes is not None:
        used = (facts.memory_used_bytes or 0) / 2**30
        memory = f", {used:.1f} of {facts.memory_bytes / 2**30:.1f} GiB in use"
    return passed("device", f"{facts.device} ({facts.device_name}){memory}")
