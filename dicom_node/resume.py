"""What a person can ask for: go on with what failed, do now what waits, do it over again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.doorbell import try_again
from dicom_node.errors import Busy, UnknownSeries, Useless
from dicom_node.ledger import Ledger
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, DELIVER, PROVE, WALK_VERSION, AnalysisId

if TYPE_CHECKING:
    from dbos import DBOSClient

    from dicom_node.receipts import Receipts
    from dicom_node.revisions import Revision, Revisions
    from dicom_node.spool import Spool
    from dicom_node.standing import DeliveryStatus, SeriesStatus


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


def resend(
    client: DBOSClient, receipts: Receipts, delivery: tuple[str, str, str], now: float
) -> list[str]:
    """Send to a destination again what it has acknowledged, or refused.

    `delivery` is (Series Instance UID, revision digest, destination). What is sent has the same
    SOP Instance UIDs as before. Raises UnknownSeries, or Busy while a try is under way.
    """
    series_uid, digest, destination = delivery
    for status in Ledger(client).of(series_uid):
        for known in status.deliveries:
            if (known.id.digest, known.id.destination) == (digest, destination):
                _send_again(client, receipts, known, now)
                return [f"series {series_uid} to {destination}: everything again"]
    raise UnknownSeries(f"series {series_uid}: nothing of it has gone to {destination}")


def analyse_anew(
    client: DBOSClient, revisions: Revisions, spool: Spool, known: Revision, model: str
) -> list[str]:
    """Analyse the instances of a revision by another model, in a revision of its own.

    The same model would make the same objects with the same UIDs, so that is refused, as is
    what has not all its instances any more. Raises Useless.
    """
    what = f"series {known.series_uid} revision {known.number}"
    if revisions.has_seen(model, known):
        raise Useless(f"{what}: this model has analysed it; send its report again instead")
    if not spool.uids(known.series_uid) >= set(known.instances):
        raise Useless(f"{what}: not all instances are kept; send the series again instead")
    anew = revisions.renew(known, model)
    _analyse_again(client, AnalysisId(anew.series_uid, anew.digest, 0))
    return [f"{what}: analysis anew, as revision {anew.number}"]


def _send_again(client: DBOSClient, receipts: Receipts, known: DeliveryStatus, now: float) -> None:
    this = known.id
    if not known.settled and known.state is not DeliveryState.FAILED:
        raise Busy(f"series {this.series_uid} to {this.destination}: a try is under way")
    receipts.clear(this.series_uid, this.digest, this.destination)
    try_again(client, this.next(DELIVER), now)


def _retry_series(client: DBOSClient, status: SeriesStatus, now: float) -> list[str]:
    may_resume = (SeriesState.FAILED, SeriesState.REFUSED)
    if status.analysis and status.state in may_resume and not status.deliveries:
        _analyse_again(client, status.analysis.next())
        return [f"series {status.series_uid}: analysis again"]
    if status.analysis and status.next_at is not None:
        client.set_workflow_delay(str(status.analysis), delay_seconds=0)
        return [f"series {status.series_uid}: analysis as soon as it is its turn"]
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
