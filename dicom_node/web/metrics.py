"""/metrics for Prometheus: what was counted, and what stands at the moment of the scrape."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client import generate_latest as encode
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.routing import Route

from dicom_node import database
from dicom_node.history import count
from dicom_node.release import release
from dicom_node.spool import Shelf
from dicom_node.states import DeliveryState, SeriesState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client import Metric
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from dicom_node.standing import SeriesStatus
    from dicom_node.web import Sources
    from plugin import Facts

#: States in which a report may wait at a destination for time to pass or for a person.
_PENDING: Final = (DeliveryState.WAITING, DeliveryState.RETRYING, DeliveryState.FAILED)


def routes(sources: Sources) -> list[BaseRoute]:
    """The page of metrics."""
    registry = CollectorRegistry()
    registry.register(sources.totals)
    registry.register(_Standing(sources))
    ProcessCollector(registry=registry)

    def metrics(_: Request) -> Response:
        return Response(encode(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", metrics)]


class _Standing(Collector):
    """What is true at the moment of the scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Sequence[Metric]:
        """Nothing: the database need not be asked before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield _gauge("lesionmark_stuck", "1 while a part is stuck.", self._stuck())
        yield from _disk(self._sources)
        if self._sources.analyser is not None:
            yield from _model(self._sources.analyser.facts())
        with database.explained():
            statuses = self._sources.history.statuses()
        yield _series(statuses)
        yield _oldest(statuses, self._sources.clock().timestamp())
        yield _reports(statuses, [peer.name for peer in self._sources.settings.destination])

    def _stuck(self) -> float:
        return float(self._sources.vitals.stuck() is not None)


def _disk(sources: Sources) -> Iterator[Metric]:
    spool = sources.spool
    usage = shutil.disk_usage(spool.root)
    yield _gauge("lesionmark_disk_free_bytes", "Free on the disk of the spool.", usage.free)
    yield _gauge("lesionmark_disk_bytes", "Size of the disk of the spool.", usage.total)
    words = "Below this much free space nothing is accepted."
    yield _gauge("lesionmark_disk_reserve_bytes", words, spool.reserve_bytes)
    words = "What is kept but will not be analysed: series set aside, unreadable files."
    shelves = {(shelf.value,): spool.count(shelf) for shelf in (Shelf.ASIDE, Shelf.QUARANTINE)}
    yield _gauges("lesionmark_shelved", words, ["shelf"], shelves.items())


def _model(facts: Facts) -> Iterator[Metric]:
    words = "What runs, and where."
    info = {
        "version": release(),
        "model": facts.model,
        "weights_sha256": facts.weights_sha256,
        "device": facts.device,
        "device_name": facts.device_name,
    }
    yield InfoMetricFamily("lesionmark_build", words, info)
    if facts.memory_bytes is not None:
        yield _gauge("lesionmark_gpu_memory_bytes", "Memory of the GPU.", facts.memory_bytes)
    if facts.memory_used_bytes is not None:
        words = "Memory of the GPU in use, by whomever."
        yield _gauge("lesionmark_gpu_memory_used_bytes", words, facts.memory_used_bytes)


def _series(statuses: Sequence[SeriesStatus]) -> Metric:
    values = {(state.value,): number for state, number in count(statuses).items()}
    return _gauges("lesionmark_series", "Series and revisions by state.", ["state"], values.items())


def _oldest(statuses: Sequence[SeriesStatus], now: float) -> Metric:
    """How long the oldest has been on its way, in each state in which something remains to do."""
    oldest = {(state.value,): 0.0 for state in SeriesState if not _is_end(state)}
    for status in statuses:
        key = (status.state.value,)
        if key in oldest:
            oldest[key] = max(oldest[key], now - status.whole_at)
    words = "Seconds since the oldest series in that state was whole; 0 for none."
    return _gauges("lesionmark_oldest_series_seconds", words, ["state"], oldest.items())


def _reports(statuses: Sequence[SeriesStatus], destinations: Sequence[str]) -> Metric:
    found = Counter(
        (delivery.id.destination, delivery.state.value)
        for status in statuses
        for delivery in status.deliveries
        if delivery.state in _PENDING
    )
    every = {(name, state.value): 0 for name in destinations for state in _PENDING}
    words = "Reports that a destination does not have yet, by state."
    return _gauges(
        "lesionmark_reports", words, ["destination", "state"], {**every, **found}.items()
    )


def _is_end(state: SeriesState) -> bool:
    return state in (SeriesState.DELIVERED, SeriesState.KEPT, SeriesState.REFUSED)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value)


def _gauges(
    name: str, words: str, labels: Sequence[str], values: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for of_labels, value in values:
        family.add_metric(of_labels, value)
    return family
