"""Builds the parts of the node, starts them and stops them."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import plugin
from dicom_node import audit, database, systemd, tls
from dicom_node.crew import Crew, say_ready
from dicom_node.errors import ConfigError
from dicom_node.progress import Timed
from dicom_node.reception import Reception
from dicom_node.spool import Spool
from dicom_node.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from queue import SimpleQueue

    from dicom_node.config import Settings
    from plugin import Plugin

log = logging.getLogger(__name__)

#: Seconds after which a half-written file in a shared spool has no writer any more.
_OLD_PART_S = 3600.0


class Role(StrEnum):
    """What one process of a node does."""

    #: Receives and works.
    ALL = "all"
    #: Receives, for workers that share the spool and the work queue.
    LISTENER = "listener"
    #: Works on what listeners receive.
    WORKER = "worker"


class _Part(Protocol):
    def stop(self, within_s: float) -> None: ...


class Service:
    """One running process of a node."""

    def __init__(self, settings: Settings, role: Role, listener_command: Sequence[str]) -> None:
        """`listener_command` starts one listener in a process of its own; empty in such a one."""
        self._settings = settings
        self._role = role
        self._listener_command = listener_command
        self._spool = open_spool(settings)
        self._trail = audit.open_trail(settings, _local_time)
        self._parts: list[_Part] = []
        self._watchdog = systemd.Watchdog()

    def run(self, stop: SimpleQueue[float]) -> None:
        """Serve until `stop` gives the number of seconds within which to stop."""
        workshop = None if self._role is Role.LISTENER else self._start_workshop()
        if self._role is not Role.WORKER:
            self._start_reception()
        if workshop is not None:
            workshop.take_stock()
        self._trail.started()
        log.info("LM001 ready")
        if not self._listener_command:
            say_ready()
        else:
            systemd.notify("READY=1")
            self._watchdog.start()
        within_s = stop.get()
        log.info("LM002 stopping")
        systemd.notify("STOPPING=1")
        self._stop(within_s)
        log.info("LM003 stopped")

    def _start_workshop(self) -> Workshop:
        analyser = Timed(load_plugin(self._settings), self._settings.node.analysis_limit_s)
        self._watchdog.watch(analyser.stuck)
        workshop = Workshop(self._settings, self._spool, analyser, self._trail, _local_time)
        if database.is_shared(self._settings):
            database.prepare(self._settings)  # the lease is kept in it
            workshop.hold_lease()
            self._spool.sweep_parts(_OLD_PART_S)
        else:
            workshop.hold_lease()
            self._spool.sweep_parts()
            database.prepare(self._settings)
        analyser.warm_up()
        workshop.start()
        self._parts.append(workshop)
        return workshop

    def _start_reception(self) -> None:
        if self._role is Role.LISTENER and self._listener_command:
            # Else the workshop, or the process that this one is attached to, has done it.
            database.prepare(self._settings)
        count = self._settings.listener.processes
        if self._listener_command and count:
            crew = Crew(self._listener_command, count)
            crew.start()
            self._parts.append(crew)
            return
        sop_classes = load_sop_classes(self._settings)
        reception = Reception(self._settings, self._spool, sop_classes, self._trail)
        self._parts.append(reception)
        reception.start()

    def _stop(self, within_s: float) -> None:
        """Stop receiving first; each part gets half of the time that is left."""
        deadline = time.monotonic() + within_s
        for part in reversed(self._parts):
            is_last = part is self._parts[0]
            left = max(0.0, deadline - time.monotonic())
            part.stop(left if is_last else left / 2)
        self._trail.stopped()
        self._trail.close()


def serve(
    settings: Settings, stop: SimpleQueue[float], role: Role, listener_command: Sequence[str]
) -> None:
    """Run a node until `stop` gives the number of seconds within which to stop.

    Raises NodeError when another has the same name.
    """
    tls.check(settings)
    Service(settings, role, listener_command).run(stop)


def open_spool(settings: Settings) -> Spool:
    """The received instances of the node with this configuration."""
    reserve = settings.listener.disk_reserve_mb << 20
    return Spool(Path(settings.node.state_dir) / "spool", reserve)


def load_plugin(settings: Settings) -> Plugin:
    """The plugin of the configuration. Raises ConfigError, naming the key."""
    wanted = sorted({kind for peer in settings.destination for kind in peer.objects})
    try:
        return plugin.load(settings.plugin.model_dump() | {"objects": wanted})
    except plugin.WrongSetting as error:
        raise ConfigError(f"plugin.{error}") from error
    except ImportError as error:
        raise ConfigError(f"plugin.module: {error}") from error


def load_sop_classes(settings: Settings) -> frozenset[str]:
    """Those of the plugin, which is not built for that. Raises ConfigError, naming the key."""
    try:
        return plugin.sop_classes(settings.plugin.model_dump())
    except ImportError as error:
        raise ConfigError(f"plugin.module: {error}") from error


def _local_time() -> datetime:
    return datetime.now(UTC).astimezone()
