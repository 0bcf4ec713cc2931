"""How a listener tells the work queue what has happened, whichever process does the work."""

from __future__ import annotations

import time
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

from dbos import DebouncerClient

from dicom_node import database
from dicom_node.ledger import Ledger
from dicom_node.states import DeliveryState
from dicom_node.work import PROVE, RETIRE, SETTLE, VOUCH, WALK_VERSION, DeliveryId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbos import DBOSClient, EnqueueOptions

    from dicom_node.live import Live
    from dicom_node.spool import Shelf
    from dicom_node.standing import DeliveryStatus
    from dicom_node.work import VouchId


#: Seconds after which a worker tells a sender what we hold though its association, on which
#: it would be told, has not ended: whoever had that in hand is gone.
_TELL_AFTER_S: Final = 120.0


class Doorbell:
    """Every notice is durable on return; later ones about the same thing replace it.

    Each raises QueueUnavailable when that cannot be written down.
    """

    def __init__(self, client: DBOSClient, keep_s: Live[float]) -> None:
        """`keep_s` is how long instances that were set aside are kept, seconds."""
        self._client = client
        self._keep_s = keep_s
        self._settle_later = DebouncerClient(client, _options(SETTLE))
        self._retire_later = DebouncerClient(client, _options(RETIRE))

    def notice(self, series_uid: str, look_after_s: float) -> None:
        """Something happened to a series: look at it after a while, and only then."""
        with database.written_down(series_uid):
            self._settle_later.debounce(series_uid, look_after_s, series_uid)

    def retire_later(self, series_uid: str, shelf: Shelf) -> None:
        """Delete the instances of a series when they have lain for the retention time."""
        with database.written_down(series_uid):
            key = f"{shelf}/{series_uid}"
            self._retire_later.debounce(key, self._keep_s.now, series_uid, shelf.value)

    def reported(self, about: DeliveryId, now: float) -> None:
        """A report on a delivery is on disk: look for it at once, even if it was given up."""
        with database.written_down(about.series_uid):
            for status in Ledger(self._client).of(about.series_uid):
                for delivery in status.deliveries:
                    if delivery.id.is_about(about) and delivery.id.work == PROVE:
                        self._look_now(delivery, now)

    def inquire(self, this: VouchId, instances: Mapping[str, str]) -> None:
        """A sender asks what we hold: a worker tells it, unless it is told on its association."""
        options: EnqueueOptions = {
            **_options(VOUCH),
            "workflow_id": str(this),
            "queue_partition_key": this.sender,
            "delay_seconds": _TELL_AFTER_S,
        }
        arguments = (this.sender, this.transaction_uid, dict(instances), time.time())
        with database.written_down(this.transaction_uid):
            self._client.enqueue(options, *arguments)

    def report_now(self, this: VouchId) -> None:
        """The sender waits no longer on its association for what it asked."""
        with database.written_down(this.transaction_uid):
            self._client.set_workflow_delay(str(this), delay_seconds=0)

    def reported_on(self, this: VouchId) -> None:
        """The sender has been told on its association."""
        with database.written_down(this.transaction_uid):
            self._client.delete_workflow(str(this))

    def _look_now(self, delivery: DeliveryStatus, now: float) -> None:
        if delivery.state is DeliveryState.FAILED:
            try_again(self._client, delivery.id.next(PROVE), now)
        else:
            self._client.set_workflow_delay(str(delivery.id), delay_seconds=0)


def try_again(client: DBOSClient, this: DeliveryId, now: float) -> None:
    """Begin a delivery, or its proof, anew at `now`, seconds since the epoch."""
    options: EnqueueOptions = {
        **_options(this.work),
        "workflow_id": str(this),
        "queue_partition_key": this.destination,
    }
    client.enqueue(options, *astuple(this)[1:], now, 0)


def _options(work: str) -> EnqueueOptions:
    return {"workflow_name": work, "queue_name": work, "app_version": WALK_VERSION}
