"""What one process of a node counts and times, for /metrics. No patient and no UID is a label."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from dicom_node.statuses import SUCCESS, StoreStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pynetdicom.events import Event

    from dicom_node.store_request import StoreRequest

#: When each counter began is noise: a counter that falls has begun anew.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()

#: Seconds; from a small instance on a fast disk to a large one on a slow one.
_STORE_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
#: Seconds; from a look at the spool to the analysis of a large series without a GPU.
_STEP_S: Final = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800)
#: Seconds; from at once to days of trying.
_TURNAROUND_S: Final = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)

INSTANCES: Final = Counter(
    "lesionmark_instances",
    "Instances that were sent to us, by the status they were answered with.",
    ["status"],
    registry=REGISTRY,
)
RECEIVED_BYTES: Final = Counter(
    "lesionmark_received_bytes",
    "Bytes of the data sets that were answered with Success.",
    registry=REGISTRY,
)
STORE_SECONDS: Final = Histogram(
    "lesionmark_store_seconds",
    "Seconds from the whole C-STORE request to its response, the disk's included.",
    buckets=_STORE_S,
    registry=REGISTRY,
)
LAST_INSTANCE: Final = Gauge(
    "lesionmark_last_instance_timestamp_seconds",
    "When the last instance was answered with Success; the start of listening if none was since.",
    registry=REGISTRY,
)
ASSOCIATIONS: Final = Counter(
    "lesionmark_associations", "Associations that were accepted.", registry=REGISTRY
)
OPEN_ASSOCIATIONS: Final = Gauge(
    "lesionmark_associations_open", "Associations that are open.", registry=REGISTRY
)
REJECTIONS: Final = Counter(
    "lesionmark_rejections",
    "Associations that were rejected, and connections that were refused.",
    ["reason"],
    registry=REGISTRY,
)
STEP_SECONDS: Final = Histogram(
    "lesionmark_step_seconds",
    "Seconds that one step of the walk took.",
    ["step"],
    buckets=_STEP_S,
    registry=REGISTRY,
)
ANALYSES: Final = Counter(
    "lesionmark_analyses",
    "Analyses by the state that they led to.",
    ["state"],
    registry=REGISTRY,
)
DELIVERIES: Final = Counter(
    "lesionmark_deliveries",
    "Tries to deliver a report, by the state that they led to.",
    ["destination", "state"],
    registry=REGISTRY,
)
PROOFS: Final = Counter(
    "lesionmark_proofs",
    "Looks for proof of keeping, by the state that they led to.",
    ["destination", "state"],
    registry=REGISTRY,
)
TURNAROUND_SECONDS: Final = Histogram(
    "lesionmark_turnaround_seconds",
    "Seconds from the last instance of a series to the acknowledgement of its report.",
    ["destination"],
    buckets=_TURNAROUND_S,
    registry=REGISTRY,
)


for _status in StoreStatus:
    # A counter is there before it counts, because its first step up from nowhere is no increase.
    INSTANCES.labels(_status.name.lower())


def listening(count_open: Callable[[], int]) -> None:
    """A listener begins; `count_open` says how many associations it has."""
    LAST_INSTANCE.set_to_current_time()
    OPEN_ASSOCIATIONS.set_function(count_open)


def stored(handler: Callable[[Event], int]) -> Callable[[Event], int]:
    """A handler of C-STORE whose answers are counted and timed."""

    def handle(event: Event) -> int:
        began = perf_counter()
        status = handler(event)
        STORE_SECONDS.observe(perf_counter() - began)
        INSTANCES.labels(StoreStatus(status).name.lower()).inc()
        if status == SUCCESS:
            request = cast("StoreRequest", event.request)
            RECEIVED_BYTES.inc(sum(map(len, request.pieces)))
            LAST_INSTANCE.set_to_current_time()
        return status

    return handle


@contextmanager
def step(name: str) -> Iterator[None]:
    """Time one step."""
    with STEP_SECONDS.labels(name).time():
        yield
