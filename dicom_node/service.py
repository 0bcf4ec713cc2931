"""Builds the parts of the node, starts them and stops them."""

from __future__ import annotations

import fcntl
import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dbos import DBOS, DBOSClient, DBOSConfig

import plugin
from dicom_node import query
from dicom_node.completion import Completion
from dicom_node.errors import ConfigError, NodeError
from dicom_node.ledger import Ledger
from dicom_node.listener import Listener, Notices
from dicom_node.revisions import Revisions
from dicom_node.spool import Shelf, Spool
from dicom_node.steps import Steps
from dicom_node.work import WALK_VERSION
from dicom_node.workflow import Workflows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    from dicom_node.config import Settings
    from plugin import Plugin

log = logging.getLogger(__name__)

_APPLICATION: Final = "lesionmark"


class Service:
    """One running node. There can be one in a process, because dbos is a singleton."""

    def __init__(self, settings: Settings, analyser: Plugin) -> None:
        self._settings = settings
        self._spool = open_spool(settings)
        self._revisions = Revisions(Path(settings.node.state_dir) / "reports")
        self._completion = self._make_completion()
        DBOS(config=_dbos_config(settings))
        steps = Steps(
            settings, self._spool, self._revisions, self._completion, analyser, _local_time
        )
        self._workflows = Workflows(
            steps, Ledger(DBOS), parallel_deliveries=settings.delivery.parallel
        )
        self._listener = Listener(
            settings.listener, self._spool, analyser.sop_classes, self._make_notices()
        )

    def run(self, stop: Event) -> None:
        """Serve until `stop` is set; then stop within the configured time."""
        self._spool.sweep_parts()
        DBOS.launch()
        self._workflows.open_queues()
        self._start_listener()
        log.info("LM001 ready")
        stop.wait()
        log.info("LM002 stopping")
        self._stop()
        log.info("LM003 stopped")

    def _start_listener(self) -> None:
        try:
            self._listener.start()
        except OSError as error:
            address = f"{self._settings.listener.host}:{self._settings.listener.port}"
            raise NodeError(f"listener.port: {address}: {error.strerror}") from error

    def _stop(self) -> None:
        deadline = time.monotonic() + self._settings.node.stop_within_s
        self._listener.stop(self._settings.node.stop_within_s / 2)
        left = max(1, round(deadline - time.monotonic()))
        DBOS.destroy(workflow_completion_timeout_sec=left)

    def _make_completion(self) -> Completion:
        return Completion(
            self._settings.completion,
            self._spool,
            self._revisions,
            count=_make_count(self._settings),
            is_arriving=lambda series_uid: self._listener.is_arriving(series_uid),
            started_at=time.time(),
        )

    def _make_notices(self) -> Notices:
        quiet_period = self._settings.completion.quiet_period_s
        return Notices(
            began=lambda uid: self._workflows.notice(uid, quiet_period),
            ended=lambda uid: self._workflows.notice(uid, self._completion.first_look_s),
            aside=lambda uid: self._workflows.retire_later(uid, Shelf.ASIDE),
        )


def serve(settings: Settings, stop: Event) -> None:
    """Run a node until `stop` is set. Raises NodeError when the state folder is in use."""
    state = Path(settings.node.state_dir)
    with _locked(state):
        Service(settings, load_plugin(settings)).run(stop)


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


@contextmanager
def open_client(settings: Settings) -> Iterator[DBOSClient]:
    """The work queue as another process sees it; for status and retry."""
    path = _database(settings)
    if not path.exists():
        raise NodeError(f"{path}: no node has run with this state_dir yet")
    client = DBOSClient(system_database_url=f"sqlite:///{path}", application_name=_APPLICATION)
    try:
        yield client
    finally:
        client.destroy()


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Hold the state folder for this process alone; the lock ends with the process."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        file = (state / "lock").open("w")
    except OSError as error:
        raise NodeError(f"node.state_dir: {state}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeError(f"node.state_dir: {state}: another node is running on it") from error
        yield


def _dbos_config(settings: Settings) -> DBOSConfig:
    return DBOSConfig(
        name=_APPLICATION,
        system_database_url=f"sqlite:///{_database(settings)}",
        application_version=WALK_VERSION,
        executor_id=settings.node.name,
        log_level="WARNING",
    )


def _database(settings: Settings) -> Path:
    return Path(settings.node.state_dir) / "work.sqlite"


def _make_count(settings: Settings) -> Callable[[str, str], int | None] | None:
    peer = settings.completion.query
    if peer is None:
        return None
    count: Any = partial(query.count_instances, peer, settings.listener.ae_title)
    return lambda study_uid, series_uid: count(study_uid, series_uid)


def _local_time() -> datetime:
    return datetime.now(UTC).astimezone()
