"""Throughput of one, two and three workers that share a spool and PostgreSQL."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from pynetdicom import AE, AllStoragePresentationContexts, evt

from benchmarks.instances import write_series
from benchmarks.node import AE_TITLE, SENDER, Node
from benchmarks.results import Result
from deploy.local_postgres import LocalPostgres
from deploy.processes import LOOPBACK, free_port, wait_until
from dicom_node import delivery
from dicom_node.config_tables import Destination

if TYPE_CHECKING:
    from pathlib import Path

_SERIES, _SLICES, _WORK_S = 18, 3, 1.0
_WORKERS = 3
_HOW = f"""\
{_SERIES} series of {_SLICES} instances each through one listener; the plugin takes {_WORK_S:g} s \
for each series without using a core, as a graphics card would make it. From the last C-STORE \
response until the destination holds every report; the queue is PostgreSQL on the same machine."""


class _Counter:
    """A Storage SCP that counts what it gets."""

    def __init__(self) -> None:
        self.port = free_port()
        self.count = 0
        self._lock = Lock()
        entity = AE("COUNTER")
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax))
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store)]
        entity.start_server((LOOPBACK, self.port), block=False, evt_handlers=handlers)
        self.stop = entity.shutdown

    def _store(self, _: evt.Event) -> int:
        with self._lock:
            self.count += 1
        return 0


def measure(folder: Path) -> Result:
    """Add one worker after the other."""
    rows, rates = [], []
    with ExitStack() as running:
        database = folder / "database"
        folder.mkdir(parents=True)
        database.write_text(running.enter_context(LocalPostgres()).url)
        counter = _Counter()
        running.callback(counter.stop)
        listener = _member(folder, "listener", 0, counter, running)
        for number in range(1, _WORKERS + 1):
            _member(folder, "worker", number, counter, running)
            took = _run(folder / f"ct-{number}", listener, counter)
            rates.append(_SERIES / took)
            rows.append((str(number), f"{took:.1f}", f"{rates[-1]:.2f}", _factor(rates)))
    return Result(
        "Workers on PostgreSQL",
        _HOW,
        ("workers", "s for all", "series / s", "beside one worker"),
        tuple(rows),
        numbers={f"workers {n}": rate for n, rate in enumerate(rates, start=1)},
    )


def _member(folder: Path, role: str, number: int, counter: _Counter, running: ExitStack) -> Node:
    name = f"{role}-{number}"
    shared: dict[str, Any] = {
        "name": name,
        "state_dir": str(folder / "state"),
        "database": f"file:{folder / 'database'}",
    }
    tables = {
        "node": shared,
        "completion": {"quiet_period_s": 0.2},
        "plugin": {"module": "benchmarks.idle_plugin", "work_s": _WORK_S},
    }
    node = Node(folder / name, ("COUNTER", counter.port), role=role, tables=tables)
    node.process.start()
    running.callback(node.process.kill)
    return node


def _run(folder: Path, listener: Node, counter: _Counter) -> float:
    peer = Destination(name="node", host=LOOPBACK, port=listener.port, ae_title=AE_TITLE)
    wanted = counter.count + _SERIES
    series = [write_series(folder / str(number), _SLICES) for number in range(_SERIES)]
    paths = [path for one in series for path in one]
    delivery.send([(path,) for path in paths], peer, SENDER, timeout_s=30)
    answered = monotonic()
    wait_until(lambda: counter.count >= wanted, "every report", limit_s=120, interval_s=0.05)
    return monotonic() - answered


def _factor(rates: list[float]) -> str:
    return f"{rates[-1] / rates[0]:.2f}"
