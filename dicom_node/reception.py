"""The part of a node that receives: listener, spool and the notices to the work queue."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node import database
from dicom_node.arriving import Arriving, Marks
from dicom_node.commitment import Reports
from dicom_node.commitment_scp import Inquiries
from dicom_node.doorbell import Doorbell
from dicom_node.errors import NodeError
from dicom_node.listener import Listener, Notices
from dicom_node.spool import ARRIVING, Shelf
from dicom_node.transactions import Transactions

if TYPE_CHECKING:
    from dbos import DBOSClient

    from dicom_node.audit import Trail
    from dicom_node.config import Settings
    from dicom_node.live import Live
    from dicom_node.spool import Spool
    from dicom_node.work import DeliveryId


class Reception:
    """Runs in any process and on any machine that shares the spool and the work queue."""

    def __init__(
        self, live: Live[Settings], spool: Spool, sop_classes: frozenset[str], trail: Trail
    ) -> None:
        self._live = live
        self._spool = spool
        self._sop_classes = sop_classes
        self._trail = trail
        self._client: DBOSClient | None = None
        self._marks: Marks | None = None
        self._listener: Listener | None = None

    def start(self) -> None:
        """Listen; the work queue must be there. Raises NodeError, naming the key."""
        arriving = self._spool.root / ARRIVING
        Arriving(arriving).sweep()
        self._marks = Marks(arriving)
        self._client = database.connect(self._settings)
        self._listener = self._make_listener(self._client, self._marks)
        try:
            self._listener.start()
        except OSError as error:
            address = f"{self._settings.listener.host}:{self._settings.listener.port}"
            raise NodeError(f"listener.port: {address}: {error.strerror}") from error

    def renew(self) -> None:
        """Go by the settings of this moment."""
        if self._listener is not None:
            self._listener.renew()

    def stuck(self) -> str | None:
        """What keeps senders out, if anything does."""
        if self._listener is None or self._listener.is_accepting:
            return None
        return "the listener does not accept any more"

    def stop(self, within_s: float) -> None:
        """Accept no more, and let open associations end."""
        if self._listener is not None:
            self._listener.stop(within_s)
        if self._marks is not None:
            self._marks.close()
        if self._client is not None:
            self._client.destroy()

    @property
    def _settings(self) -> Settings:
        return self._live.now

    def _make_listener(self, client: DBOSClient, marks: Marks) -> Listener:
        doorbell = Doorbell(client, self._live.part(lambda settings: settings.retention.keep_s))
        return Listener(
            self._live.part(lambda settings: settings.listener),
            self._spool,
            self._sop_classes,
            self._make_notices(doorbell),
            self._trail,
            marks,
            self._make_reports(doorbell),
            Inquiries(self._spool, doorbell),
        )

    def _make_notices(self, doorbell: Doorbell) -> Notices:
        completion = self._live.part(lambda settings: settings.completion)
        return Notices(
            began=lambda uid: doorbell.notice(uid, completion.now.quiet_period_s),
            ended=lambda uid: doorbell.notice(uid, completion.now.first_look_s),
            aside=partial(doorbell.retire_later, shelf=Shelf.ASIDE),
        )

    def _make_reports(self, doorbell: Doorbell) -> Reports | None:
        """What takes storage commitment reports, where a destination may send any."""
        if all(peer.proof != "storage-commitment" for peer in self._settings.destination):
            return None
        state = Path(self._settings.node.state_dir)
        transactions = Transactions(state / "commitments", self._settings.listener.ae_title)

        def reported(about: DeliveryId) -> None:
            doorbell.reported(about, time.time())

        return Reports(transactions, reported)
