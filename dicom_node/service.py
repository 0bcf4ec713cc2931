"""Builds the parts of the node, starts them and stops them."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

import plugin
from dicom_node import audit, config, database, live, logs, systemd, telemetry, tls
from dicom_node.crew import Crew, say_ready
from dicom_node.errors import ConfigError, NodeError
from dicom_node.live import Live
from dicom_node.presence import Presence
from dicom_node.progress import Timed
from dicom_node.reception import Reception
from dicom_node.spool import Spool
from dicom_node.totals import Totals
from dicom_node.vitals import Vitals
from dicom_node.web.access import read_token
from dicom_node.web.server import open_server
from dicom_node.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from queue import SimpleQueue

    from dicom_node.config import Settings
    from dicom_node.web.server import WebServer
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


#: What a running service is told: to stop within so many seconds, or to reload.
Order = float | Literal["reload"]
RELOAD: Final = "reload"


class _Part(Protocol):
    def renew(self) -> None:
        """Go by the settings of this moment."""

    def stop(self, within_s: float) -> None: ...


class Service:
    """One running process of a node."""

    def __init__(self, path: Path, role: Role, listener_command: Sequence[str]) -> None:
        """Load the configuration at `path`.

        `listener_command` starts one listener in a process of its own; empty in such a one.
        """
        self._path = path
        self._settings = self._at_start = settings = config.load(path)
        tls.check(settings)
        telemetry.check(settings)
        read_token(settings.web)
        self._live = Live(lambda: self._settings)
        self._role = role
        self._listener_command = listener_command
        self._spool = open_spool(settings)
        self._trail = audit.open_trail(settings, _local_time)
        self._parts: list[_Part] = []
        self._analyser: Plugin | None = None
        self._vitals = Vitals()
        self._totals = Totals()
        self._presence: Presence | None = None

    def run(self, orders: SimpleQueue[Order]) -> None:
        """Serve until an order gives the number of seconds within which to stop."""
        if self._listener_command:
            # From the beginning: who asks for a reload now is answered when the node is ready.
            self._presence = Presence(Path(self._settings.node.state_dir))
        workshop = None if self._role is Role.LISTENER else self._start_workshop()
        web = self._open_web()
        if self._role is not Role.WORKER:
            self._start_reception()
        if workshop is not None:
            workshop.take_stock()
        if web is not None:
            web.start()
            self._parts.append(web)
        self._trail.started()
        log.info("LM001 ready")
        if not self._listener_command:
            say_ready(self._vitals.stuck)
        else:
            systemd.notify("READY=1")
            systemd.Watchdog(self._vitals.stuck).start()
        while (order := orders.get()) == RELOAD:
            self._reload()
        log.info("LM002 stopping")
        systemd.notify("STOPPING=1")
        self._stop(float(order))
        log.info("LM003 stopped")

    def _reload(self) -> None:
        if self._presence is None:
            self._take_over()
            return
        systemd.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._presence.say(self._take_over())
        systemd.notify("READY=1")

    def _take_over(self) -> str:
        """Go by the configuration as it is now; what came of it, in words."""
        try:
            wanted = config.load(self._path)
            tls.check(wanted)
        except ConfigError as error:
            log.error("LM008 configuration not taken over, nothing changes: %s", error)  # noqa: TRY400
            return f"not taken over, nothing changes: {error}"
        self._settings, waiting = live.take_over(self._settings, wanted, self._at_start)
        logs.set_level(self._settings.node.log_level)
        self._spool.reserve_bytes = reserve_bytes(self._settings)
        for part in self._parts:
            part.renew()
        log.info("LM007 configuration taken over")
        for key in waiting:
            log.warning("LM009 %s: takes effect at the next start", key)
        return "\n".join(["taken over", *(f"{key}: at the next start" for key in waiting)])

    def _start_workshop(self) -> Workshop:
        analyser = Timed(load_plugin(self._settings), self._settings.node.analysis_limit_s)
        self._vitals.watch("analysis", analyser.stuck)
        workshop = Workshop(self._live, self._spool, analyser, self._trail, _local_time)
        if database.is_shared(self._settings):
            database.prepare(self._settings)  # the lease is kept in it
            workshop.hold_lease()
            self._spool.sweep_parts(_OLD_PART_S)
        else:
            workshop.hold_lease()
            self._spool.sweep_parts()
            database.prepare(self._settings)
        analyser.warm_up()
        self._analyser = analyser
        workshop.start()
        self._vitals.watch("work queue", workshop.stuck)
        self._parts.append(workshop)
        return workshop

    def _start_reception(self) -> None:
        if self._role is Role.LISTENER and self._listener_command:
            # Else the workshop, or the process that this one is attached to, has done it.
            database.prepare(self._settings)
        count = self._settings.listener.processes
        if self._listener_command and count:
            crew = Crew(self._listener_command, count, self._totals)
            crew.start()
            self._vitals.watch("listener", crew.stuck)
            self._parts.append(crew)
            return
        sop_classes = load_sop_classes(self._settings)
        reception = Reception(self._live, self._spool, sop_classes, self._trail)
        self._parts.append(reception)
        reception.start()
        self._vitals.watch("listener", reception.stuck)

    def _open_web(self) -> WebServer | None:
        """Take its port before anybody is received: a node that cannot have it does not start."""
        if not self._settings.web.port or not self._listener_command:
            return None
        return open_server(
            self._live,
            receives=self._role is not Role.WORKER,
            vitals=self._vitals,
            totals=self._totals,
            analyser=self._analyser,
            spool=self._spool,
            trail=self._trail,
            clock=_local_time,
        )

    def _stop(self, within_s: float) -> None:
        """Stop receiving first; each part gets half of the time that is left."""
        deadline = time.monotonic() + within_s
        for part in reversed(self._parts):
            is_last = part is self._parts[0]
            left = max(0.0, deadline - time.monotonic())
            part.stop(left if is_last else left / 2)
        self._trail.stopped()
        self._trail.close()
        if self._presence is not None:
            self._presence.leave()


def serve(
    path: Path, orders: SimpleQueue[Order], role: Role, listener_command: Sequence[str]
) -> None:
    """Run a node with the configuration at `path` until an order gives the seconds to stop in.

    Raises ConfigError for its configuration, NodeError when another has the same name.
    """
    Service(path, role, listener_command).run(orders)


def open_spool(settings: Settings) -> Spool:
    """The received instances of the node with this configuration."""
    return Spool(Path(settings.node.state_dir) / "spool", reserve_bytes(settings))


def reserve_bytes(settings: Settings) -> int:
    """The space that must stay free on the disk of the spool."""
    return settings.listener.disk_reserve_mb << 20


def load_plugin(settings: Settings) -> Plugin:
    """The plugin of the configuration.

    Raises ConfigError, naming the key, and NodeError for a damaged installation.
    """
    wanted = sorted({kind for peer in settings.destination for kind in peer.objects})
    try:
        return plugin.load(settings.plugin.model_dump() | {"objects": wanted})
    except plugin.WrongSetting as error:
        raise ConfigError(f"plugin.{error}") from error
    except plugin.PluginError as error:
        raise NodeError(f"the plugin cannot be used: {error}") from error
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
