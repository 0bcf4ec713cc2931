"""All checks, in the order in which what one finds explains the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node import config
from dicom_node.doctor import certificates, loop, machine, node, page, peers, software
from dicom_node.doctor.check import Result, failed, passed, skipped
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from dicom_node.config import Settings
    from dicom_node.doctor.check import Check

_CONFIGURATION = "configuration"


def checks(
    path: Path, clock: Callable[[], datetime], say: Callable[[str], None], *, with_loop: bool
) -> Iterator[Check]:
    """Look at an installation with this configuration; `say` hears how the loop goes on."""
    try:
        settings = config.load(path)
    except ConfigError as error:
        for line in str(error).splitlines():
            yield failed(_CONFIGURATION, line, f"correct {path}")
        return
    yield passed(_CONFIGURATION, f"{path}: right")
    yield from _of_machine(settings, clock)
    found = list(node.node(settings))
    yield from found
    is_well = all(check.result is Result.OK for check in found)
    yield page.page(settings, runs=is_well)
    if not with_loop:
        yield skipped("test series", "left out, as asked for")
    elif not is_well:
        yield skipped("test series", "the node does not let us in")
    else:
        yield from loop.loop(settings, clock(), say)


def _of_machine(settings: Settings, clock: Callable[[], datetime]) -> Iterator[Check]:
    yield machine.state_folder(settings)
    yield machine.disk(settings)
    yield machine.clock(settings, clock())
    yield machine.work_queue(settings)
    yield from software.transfer_syntaxes(settings)
    yield from software.model(settings)
    yield from certificates.certificates(settings, clock())
    yield from peers.peers(settings)
