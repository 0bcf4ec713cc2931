"""The part of a node that serves pages, metrics and health checks, in threads of its own."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import uvicorn

from dicom_node import database
from dicom_node.errors import NodeError
from dicom_node.history import History
from dicom_node.ledger import Ledger
from dicom_node.receipts import Receipts
from dicom_node.revisions import Revisions
from dicom_node.web import Sources
from dicom_node.web.access import Access
from dicom_node.web.app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from dicom_node.audit import Trail
    from dicom_node.config import Settings
    from dicom_node.live import Live
    from dicom_node.spool import Spool
    from dicom_node.totals import Totals
    from dicom_node.vitals import Vitals
    from plugin import Plugin

log = logging.getLogger(__name__)

#: The history is read anew so often, s.
_REREAD_S: Final = 600.0
_BACKLOG: Final = 128


def open_server(
    live: Live[Settings],
    *,
    receives: bool,
    vitals: Vitals,
    totals: Totals,
    analyser: Plugin | None,
    spool: Spool,
    trail: Trail,
    clock: Callable[[], datetime],
) -> WebServer:
    """The server of a node with this configuration, which has its port from now on.

    `receives`: whether this process does; `analyser` is what it analyses with, if it does
    that. Raises NodeError, naming the key, when another process has the port.
    """
    settings = live.now
    reports = Path(settings.node.state_dir) / "reports"
    client = database.connect(settings)
    sources = Sources(
        live=live,
        receives=receives,
        vitals=vitals,
        totals=totals,
        analyser=analyser,
        spool=spool,
        revisions=Revisions(reports),
        receipts=Receipts(reports),
        history=History(client, Ledger(client).arriving),
        client=client,
        trail=trail,
        clock=clock,
    )
    access = Access(settings.web, trail, lambda: clock().timestamp())
    return WebServer(sources, access, _bind(settings.web.host, settings.web.port))


class WebServer:
    """Listens from `start` to `stop`."""

    def __init__(self, sources: Sources, access: Access, listener: socket.socket) -> None:
        """`listener` is bound, and nobody is heard on it before `start`."""
        self._sources = sources
        self._listener = listener
        config = uvicorn.Config(
            app(sources, access),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._stops = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Listen. Raises NodeError when another process was quicker."""
        table = self._sources.settings.web
        with _explained(table.host, table.port):
            self._listener.listen(_BACKLOG)
        self._threads = [
            Thread(target=self._server.run, args=([self._listener],), name="web", daemon=True),
            Thread(target=self._keep_history, name="history", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        host = f"[{table.host}]" if ":" in table.host else table.host
        log.info("LM810 page at http://%s:%d/", host, table.port)

    def renew(self) -> None:
        """Nothing: pages ask for the settings each time."""

    def stop(self, within_s: float) -> None:
        """Let answers under way be finished."""
        self._server.should_exit = True
        self._stops.set()
        for thread in self._threads:
            thread.join(within_s / len(self._threads))
        self._sources.client.destroy()

    def _keep_history(self) -> None:
        """Read the history now, so that the first page opens quickly, and anew at times."""
        while not self._stops.is_set():
            try:
                with database.explained():
                    self._sources.history.reread()
            except NodeError as error:
                log.error("LM813 the history cannot be read: %s", error)  # noqa: TRY400
            self._stops.wait(_REREAD_S)


def _bind(host: str, port: int) -> socket.socket:
    with _explained(host, port), ExitStack() as unless_it_is_bound:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = unless_it_is_bound.enter_context(socket.socket(family, kind, protocol))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        unless_it_is_bound.pop_all()
    return listener


@contextmanager
def _explained(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NodeError(f"web.port: {host}:{port}: {error.strerror}") from error
