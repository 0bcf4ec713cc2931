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

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

#: Seconds before a listener that has ended is started again.
_PAUSE_S = 1.0
#: Seconds that a process takes to end when its associations have.
_EXIT_S = 1.0


class Crew:
    """They end when their standard input does, so that none outlives the process that has it.

    What they read before that is how many seconds they have to end.
    """

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = command
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

    def stop(self, within_s: float) -> None:
        """Tell them to end, and end those that do not in time."""
        self._stops.set()
        deadline = time.monotonic() + within_s
        for process in list(self._processes):
            _tell_to_end(process, max(0.0, within_s - _EXIT_S))
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
            returncode = process.wait()
            self._processes.discard(process)
        return returncode


def _tell_to_end(process: subprocess.Popen[bytes], within_s: float) -> None:
    assert process.stdin is not None  # a pipe
    with suppress(BrokenPipeError):  # it has just ended by itself
        process.stdin.write(f"{within_s:f}".encode("ascii"))
        process.stdin.flush()
    with suppress(BrokenPipeError):
        process.stdin.close()


def wait_for_end(otherwise_s: float) -> float:
    """Until the crew that we are one of lets go of us; the seconds that we have to end.

    `otherwise_s` when it says nothing of that, because it was killed.
    """
    return float(sys.stdin.read() or otherwise_s)


def say_ready() -> None:
    """What a listener tells the crew it is one of."""
    with suppress(BrokenPipeError):  # it has just ended, and so shall we
        sys.stdout.write("ready\n")
        sys.stdout.flush()
