"""Subcommands that run a node, and that ask a running one to read its configuration again."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, NoReturn

from dicom_node import config, crew, presence, service, tls
from dicom_node.commands import OK, out
from dicom_node.errors import NodeError
from dicom_node.service import RELOAD, Role

if TYPE_CHECKING:
    from argparse import Namespace

    from dicom_node.presence import Server
    from dicom_node.service import Order

#: Seconds that a node has to answer that it has read its configuration again.
_PATIENCE_S: Final = 20.0
_LOOK_S: Final = 0.05


def serve(arguments: Namespace) -> NoReturn:
    """Run the node until SIGTERM or SIGINT; SIGHUP makes it read its configuration again."""
    settings = config.load(arguments.config)
    orders: SimpleQueue[Order] = SimpleQueue()
    if arguments.attached:
        _obey_crew(orders, settings.node.stop_within_s)
    else:
        _obey_signals(orders, settings.node.stop_within_s)
    service.serve(arguments.config, orders, Role(arguments.role), _listener_command(arguments))
    # A plugin at work cannot be interrupted, and a thread would hold up the exit until it is
    # done. Its step is not recorded, so the next start repeats it.
    logging.shutdown()
    os._exit(OK)


def reload(arguments: Namespace) -> int:
    """Check the configuration, and let the running node of this machine take it over."""
    settings = config.load(arguments.config)
    tls.check(settings)
    found = presence.servers(Path(settings.node.state_dir))
    if not found:
        raise NodeError(f"node.state_dir: {settings.node.state_dir}: no node runs here")
    for server in found:
        count, _ = server.said()
        server.ask_to_reload()
        out.print(_answer(server, count), soft_wrap=True, highlight=False)
    return OK


def _answer(server: Server, before: int) -> str:
    """What it says to the request that is one more than before."""
    deadline = monotonic() + _PATIENCE_S
    while monotonic() < deadline:
        count, words = server.said()
        if count > before:
            return words
        sleep(_LOOK_S)
    raise NodeError(f"process {server.pid} does not answer; its log may say why")


def _obey_signals(orders: SimpleQueue[Order], within_s: float) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: orders.put(within_s))
    signal.signal(signal.SIGHUP, lambda *_: orders.put(RELOAD))


def _obey_crew(orders: SimpleQueue[Order], within_s: float) -> None:
    """Who signals a whole process group signals the crew, too, which then orders us."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def obey() -> None:
        orders.put(crew.obey(lambda: orders.put(RELOAD), within_s))

    Thread(target=obey, name="crew", daemon=True).start()


def _listener_command(arguments: Namespace) -> list[str]:
    """Starts one of several listeners, which ends when we do."""
    if arguments.attached:
        return []
    program = [sys.executable, "-m", "dicom_node.cli", "--config", str(arguments.config)]
    return [*program, "serve", "--role", Role.LISTENER, "--attached"]
