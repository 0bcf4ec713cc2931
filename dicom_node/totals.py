"""What all processes of a node have counted together."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING, Final

from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from dicom_node import meters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Name of the metric, name of the sample, labels.
_Key = tuple[str, str, tuple[tuple[str, str], ...]]
_Values = dict[_Key, float]
#: Of this the newest counts; of all others the sum.
_NEWEST: Final = "lesionmark_last_instance_timestamp_seconds"


class Totals(Collector):
    """Adds what other processes report to what this one has counted.

    The counts of a process that has ended stay, so that no counter ever falls.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._others: dict[int, _Values] = {}
        self._ended: _Values = {}

    def hear(self, pid: int, line: str) -> None:
        """Take one `report` of another process; whatever else it says is no report."""
        try:
            values = {_key(*names): value for *names, value in json.loads(line)}
        except (ValueError, TypeError):
            return
        with self._lock:
            self._others[pid] = values

    def end(self, pid: int) -> None:
        """That process has ended; nothing is open in it any more."""
        with self._lock:
            values = self._others.pop(pid, {})
            gauges = {metric.name for metric in meters.REGISTRY.collect() if metric.type == "gauge"}
            lasting = {
                key: value
                for key, value in values.items()
                if key[0] not in gauges or key[0] == _NEWEST
            }
            self._ended = _add([self._ended, lasting])

    def collect(self) -> Iterator[Metric]:
        """Every metric with the values of all processes."""
        own = list(meters.REGISTRY.collect())
        with self._lock:
            values = _add([_values(own), *self._others.values(), self._ended])
        for metric in own:
            yield _metric(metric, values)


def report() -> str:
    """What this process has counted, in one line for the process that it is attached to."""
    values = _values(meters.REGISTRY.collect())
    return json.dumps([[*key, value] for key, value in values.items()])


def _key(metric: str, sample: str, labels: Iterable[Iterable[str]]) -> _Key:
    return metric, sample, tuple((name, value) for name, value in labels)


def _values(metrics: Iterable[Metric]) -> _Values:
    return {
        (metric.name, sample.name, tuple(sample.labels.items())): sample.value
        for metric in metrics
        for sample in metric.samples
    }


def _add(parts: Iterable[Mapping[_Key, float]]) -> _Values:
    total: _Values = {}
    for part in parts:
        for key, value in part.items():
            before = total.get(key, 0.0)
            total[key] = max(before, value) if key[0] == _NEWEST else before + value
    return total


def _metric(metric: Metric, values: _Values) -> Metric:
    total = Metric(metric.name, metric.documentation, metric.type)
    total.samples = [
        Sample(sample, dict(labels), value)
        for (name, sample, labels), value in values.items()
        if name == metric.name
    ]
    return total
