"""Listeners in processes of their own, which share one port; one that ends is replaced."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from dicom_node.errors import NodeError
from dicom_node.totals import report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_node.totals import Totals

log = logging.getLogger(__name__)

#: Seconds before a listener that has ended is started again.
_PAUSE_S = 1.0
#: Seconds that a process takes to end when its associations have.
_EXIT_S = 1.0
#: Seconds between two reports of a listener.
_REPORT_S = 1.0
#: Seconds without one after which a listener counts as stuck.
_LONGEST_SILENCE_S = 30.0
#: The line that asks a listener to read the configuration again.
_RELOAD = "reload"


class Crew:
    """They end when their standard input does, so that none outlives the process that has it.

    Each line that they read is an order: to reload, or to end within so many seconds. Each
    line that they write is a report of what they have counted, and a sign of life.
    """

    def __init__(self, command: Sequence[str], count: int, totals: Totals) -> None:
        self._command = command
        self._totals = totals
        self._heard_at: dict[int, float] = {}
        self._stops = Event()
        self._started: SimpleQueue[bool] = SimpleQueue()
        self._threads = [
            Thread(target=self._keep_one, name=f"listener {number}", daemon=True)
            for number in range(1, count + 1)
        ]
        self._processes: set[subprocess.Popen[bytes]] = set()

    def start(self) -> None:
        """Start all of them. Raises NodeError when one does not get to listen."""
        for thread in self._threads:
            thread.start()
        answers = [self._started.get() for _ in self._threads]
        if not all(answers):
            self.stop(_PAUSE_S)
            raise NodeError("listener.processes: one of them ended at once; it has said why")

    def renew(self) -> None:
        """Tell them to read the configuration again."""
        for process in list(self._processes):
            _order(process, _RELOAD)

    def stuck(self) -> str | None:
        """Which of them has been silent for too long, if one has."""
        now = time.monotonic()
        for pid, heard_at in list(self._heard_at.items()):
            if now - heard_at > _LONGEST_SILENCE_S:
                return f"listener {pid} has not been heard of for {now - heard_at:.0f} s"
        return None

    def stop(self, within_s: float) -> None:
        """Tell them to end, and end those that do not in time."""
        self._stops.set()
        deadline = time.monotonic() + within_s
        for process in list(self._processes):
            _order(process, f"{max(0.0, within_s - _EXIT_S):f}")
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for process in list(self._processes):
            process.kill()

    def _keep_one(self) -> None:
        while not self._stops.is_set():
            returncode = self._run_one()
            if not self._stops.wait(_PAUSE_S):
                log.error("LM111 a listener ended (%d) and is replaced", returncode)

    def _run_one(self) -> int:
        with subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            self._processes.add(process)
            assert process.stdout is not None  # a pipe
            self._started.put(bool(process.stdout.readline()))
            for line in process.stdout:
                self._heard_at[process.pid] = time.monotonic()
                self._totals.hear(process.pid, line.decode())
            self._heard_at.pop(process.pid, None)
            self._totals.end(process.pid)
            returncode = process.wait()
            self._processes.discard(process)
        return returncode


def _order(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None  # a pipe
    with suppress(BrokenPipeError):  # it has just ended by itself
        process.stdin.write(f"{line}\n".encode("ascii"))
        process.stdin.flush()


def obey(on_reload: Callable[[], None], otherwise_s: float) -> float:
    """Until the crew that we are one of lets go of us; the seconds that we have to end.

    `otherwise_s` when it says nothing of that, because it was killed.
    """
    for line in sys.stdin:
        if line.strip() != _RELOAD:
            return float(line)
        on_reload()
    return otherwise_s


def say_ready(stuck: Callable[[], str | None]) -> None:
    """Tell the crew that we are one of that we listen, and from then on what we have counted.

    While something is `stuck` the reports stay out.
    """
    _say("ready")
    Thread(target=_keep_reporting, args=(stuck,), name="reports", daemon=True).start()


def _keep_reporting(stuck: Callable[[], str | None]) -> None:
    while True:
        time.sleep(_REPORT_S)
        if stuck() is None:
            _say(report())


def _say(line: str) -> None:
    with suppress(BrokenPipeError):  # it has just ended, and so shall we
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
