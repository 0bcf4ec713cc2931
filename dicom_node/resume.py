"""`lesionmark retry`: work that failed goes on, work that waits is done now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.doorbell import try_again
from dicom_node.errors import UnknownSeries
from dicom_node.ledger import Ledger
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, PROVE, WALK_VERSION, AnalysisId

if TYPE_CHECKING:
    from dbos import DBOSClient

    from dicom_node.ledger import DeliveryStatus, SeriesStatus


def retry(client: DBOSClient, series_uid: str | None, now: float) -> list[str]:
    """Take up what failed or waits for another try; one sentence for each thing taken up.

    With a Series Instance UID only that series, else all. `now` (seconds since the epoch)
    starts the time after which a delivery is given up. Raises UnknownSeries.
    """
    ledger = Ledger(client)
    statuses = ledger.all() if series_uid is None else ledger.of(series_uid)
    if series_uid is not None and not statuses:
        raise UnknownSeries(f"series {series_uid}: never received")
    return [line for status in statuses for line in _retry_series(client, status, now)]


def _retry_series(client: DBOSClient, status: SeriesStatus, now: float) -> list[str]:
    may_resume = (SeriesState.FAILED, SeriesState.REFUSED)
    if status.analysis and status.state in may_resume and not status.deliveries:
        _analyse_again(client, status.analysis.next())
        return [f"series {status.series_uid}: analysis again"]
    return [line for d in status.deliveries for line in _retry_delivery(client, d, now)]


def _retry_delivery(client: DBOSClient, delivery: DeliveryStatus, now: float) -> list[str]:
    what = f"series {delivery.id.series_uid} to {delivery.id.destination}"
    noun = "proof" if delivery.id.work == PROVE else "delivery"
    if delivery.state is DeliveryState.FAILED:
        try_again(client, delivery.id.next(delivery.id.work), now)
        return [f"{what}: {noun} again"]
    if delivery.settled or delivery.state is DeliveryState.WAITING:
        return []
    client.set_workflow_delay(str(delivery.id), delay_seconds=0)
    return [f"{what}: next try of {noun} now"]


def _analyse_again(client: DBOSClient, this: AnalysisId) -> None:
    client.enqueue(
        {
            "workflow_name": ANALYSE,
            "queue_name": ANALYSE,
            "workflow_id": str(this),
            "app_version": WALK_VERSION,
        },
        this.series_uid,
        this.digest,
    )
