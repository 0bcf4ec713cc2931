"""Speaks to the service manager: ready, stopping, alive (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

#: Signs of life within one watchdog time; sd_watchdog_enabled(3) advises two or more.
_SIGNS: Final = 3.0


def notify(*facts: str) -> None:
    """Tell the service manager some facts, such as READY=1; nothing where there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # A leading @ stands for the null byte of an abstract address (sd_notify(3)).
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto("\n".join(facts).encode(), target)
        except OSError as error:
            log.warning("LM005 the service manager does not listen: %s", error.strerror)


def watchdog_s() -> float | None:
    """Seconds after which the service manager wants a sign of life, None for never."""
    meant_for = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if meant_for != str(os.getpid()) or not microseconds.isdigit():
        return None
    return int(microseconds) / 1e6


class Watchdog:
    """Gives signs of life while nothing is stuck, and falls silent when something is.

    The service manager then kills the node and starts it again, and its work goes on.
    """

    def __init__(self, check: Callable[[], str | None]) -> None:
        """`check` says what is stuck, or None while there is progress."""
        self._check = check
        self._stuck: str | None = None

    def start(self) -> None:
        """Watch in a thread of its own, where the service manager asked for it."""
        limit_s = watchdog_s()
        if limit_s is not None:
            Thread(
                target=self._watch, args=(limit_s / _SIGNS,), name="watchdog", daemon=True
            ).start()

    def look(self) -> None:
        """Give one sign of life, or say once what is stuck."""
        stuck = self._check()
        if stuck is None:
            notify("WATCHDOG=1")
        elif stuck != self._stuck:
            log.error("LM006 no sign of life to the service manager: %s", stuck)
            notify(f"STATUS=stuck: {stuck}")
        self._stuck = stuck

    def _watch(self, every_s: float) -> None:
        while True:
            self.look()
            sleep(every_s)
