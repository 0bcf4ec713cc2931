"""Storage and Verification SCP: keeps what comes, and answers with a named status."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from pydicom.uid import AllTransferSyntaxes, ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node import tls
from dicom_node.acceptor import Acceptor
from dicom_node.admission import Admission
from dicom_node.arrivals import Arrivals
from dicom_node.audit import Party
from dicom_node.encoded import dicom_file
from dicom_node.errors import (
    InvalidUID,
    MismatchedInstance,
    OutOfSpace,
    OversizedInstance,
    QueueUnavailable,
    UnreadableInstance,
)
from dicom_node.gate import Gate
from dicom_node.instance import Sizes, identify
from dicom_node.sop_classes import STORAGE_COMMITMENT, VERIFICATION
from dicom_node.spool import Shelf
from dicom_node.statuses import SUCCESS, StoreStatus
from dicom_node.transfers import Tally
from dicom_node.upper_layer import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from dicom_node.arrivals import Place
    from dicom_node.arriving import Marks
    from dicom_node.association import AcceptedAssociation
    from dicom_node.audit import Trail
    from dicom_node.commitment import Reports
    from dicom_node.config_tables import Listener as Settings
    from dicom_node.instance import Identity
    from dicom_node.spool import Spool

log = logging.getLogger(__name__)

#: PS3.5 10 without those that leave the pixels elsewhere (JPIP) or are no files (SMPTE 2110).
#: Explicit VR comes first: of several in one context pynetdicom accepts the first of ours.
TRANSFER_SYNTAXES = [
    ExplicitVRLittleEndian,
    *(
        syntax
        for syntax in AllTransferSyntaxes
        if syntax != ExplicitVRLittleEndian and not syntax.name.startswith(("JPIP", "SMPTE"))
    ),
]

#: What an instance is refused with for good, by what is wrong with it.
_REFUSED: Final = {
    MismatchedInstance: StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    InvalidUID: StoreStatus.INVALID_SOP_INSTANCE,
    OversizedInstance: StoreStatus.INSTANCE_TOO_LARGE,
}


@dataclass(frozen=True)
class Notices:
    """Whom the listener tells; each returns only when the news is durable."""

    #: The first instance of a series in an association is on disk.
    began: Callable[[str], None]
    #: The association that brought instances of a series has ended.
    ended: Callable[[str], None]
    #: Instances of a series were set aside.
    aside: Callable[[str], None]


class Listener:
    """Accepts associations, and keeps each instance before it answers Success."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        sop_classes: frozenset[str],
        notices: Notices,
        trail: Trail,
        marks: Marks,
        reports: Reports | None = None,
    ) -> None:
        """Take the parts that are told and asked.

        `sop_classes` are those of the plugin; all others are set aside or rejected. `reports`
        takes storage commitment reports, which are rejected without it.
        """
        self._settings = settings
        self._spool = spool
        self._sop_classes = sop_classes
        self._notices = notices
        self._trail = trail
        self._reports = reports
        self._sizes = Sizes(settings.max_instance_mb << 20, settings.max_decoded_mb << 20)
        self._gate = Gate(Admission(settings, spool.is_full), trail, self._open_associations)
        self._arrivals = Arrivals(marks)
        self._tally = Tally()
        self._acceptor: Acceptor | None = None
        self._entity = self._make_entity()

    def start(self) -> None:
        """Listen. Raises OSError when the address is taken, ConfigError for certificates."""
        settings = self._settings
        self._acceptor = Acceptor(
            self._entity,
            (settings.host, settings.port),
            self._handlers(),
            self._limits(),
            tls=tls.server_context(settings.tls) if settings.tls else None,
            admits=self._gate.admits,
            on_refused=self._gate.handle_refused,
            share_port=settings.processes > 1,
        )
        self._acceptor.start()
        log.info("LM101 listening as %s on %s:%d", settings.ae_title, settings.host, settings.port)

    def stop(self, within_s: float) -> None:
        """Accept no more, let open associations end, and abort those that do not in time."""
        if self._acceptor is not None:
            self._acceptor.stop(within_s)

    def handle_store(self, event: Event) -> int:
        """Keep one instance (PS3.4 B.2.3)."""
        try:
            return self._store(event)
        except UnreadableInstance as error:
            return self._quarantine(event, error)
        except tuple(_REFUSED) as error:
            log.warning("LM104 instance refused: %s", error)
            return _REFUSED[type(error)]
        except (OutOfSpace, QueueUnavailable, OSError) as error:
            log.error("LM105 instance refused, out of resources: %s", error)  # noqa: TRY400
            return StoreStatus.OUT_OF_RESOURCES

    def _store(self, event: Event) -> int:
        syntax = event.context.transfer_syntax
        data_set = event.encoded_dataset(include_meta=False)
        identity = identify(data_set, syntax, self._sizes)
        _check_request(event.request, identity)
        shelf = Shelf.SERIES if identity.sop_class_uid in self._sop_classes else Shelf.ASIDE
        data = dicom_file(identity.sop_class_uid, identity.sop_instance_uid, syntax, data_set)
        is_new = self._spool.add(shelf, identity.series_uid, identity.sop_instance_uid, data)
        self._give_notice(event.assoc, (shelf, identity.series_uid))
        self._tally.add(event.assoc, identity, is_new=is_new)
        return StoreStatus.SUCCESS

    def _give_notice(self, association: Association, place: Place) -> None:
        """Once for each series in each association, before its first Success."""
        if not self._arrivals.is_new(association, place):
            return
        shelf, series_uid = place
        notice = self._notices.aside if shelf is Shelf.ASIDE else self._notices.began
        notice(series_uid)
        # Only now: when the notice fails, the next instance has to give it.
        self._arrivals.add(association, place)

    def _quarantine(self, event: Event, error: UnreadableInstance) -> int:
        try:
            path = self._spool.quarantine(event.encoded_dataset())
        except (OutOfSpace, OSError) as fault:
            log.error("LM113 bytes refused, out of resources: %s", fault)  # noqa: TRY400
            return StoreStatus.OUT_OF_RESOURCES
        log.warning("LM103 instance quarantined as %s: %s", path.name, error)
        return StoreStatus.CANNOT_UNDERSTAND

    def _handle_close(self, event: Event) -> None:
        association = cast("AcceptedAssociation", event.assoc)
        sender = Party(association.requestor.ae_title, association.address)
        for transfer in self._tally.end(association):
            self._trail.received(sender, transfer)
        for shelf, series_uid in self._arrivals.end(event.assoc):
            if shelf is Shelf.SERIES:
                self._notices.ended(series_uid)

    def _open_associations(self) -> list[AcceptedAssociation]:
        return self._acceptor.active_associations if self._acceptor else []

    def _handlers(self) -> list[Any]:
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._gate.handle_requested),
            (evt.EVT_REJECTED, self._gate.handle_rejected),
            (evt.EVT_C_STORE, self.handle_store),
            (evt.EVT_C_ECHO, _handle_echo),
            (evt.EVT_CONN_CLOSE, self._handle_close),
        ]
        if self._reports is not None:
            handlers.append((evt.EVT_N_EVENT_REPORT, self._reports.handle))
        return handlers

    def _limits(self) -> Limits:
        settings = self._settings
        return Limits(
            max_associations=settings.max_associations,
            idle_timeout_s=settings.idle_timeout_s,
            max_pdu_bytes=settings.max_pdu_bytes,
            max_data_set_bytes=self._sizes.max_bytes,
            handshake_timeout_s=settings.handshake_timeout_s,
        )

    def _make_entity(self) -> AE:
        settings = self._settings
        entity = AE(settings.ae_title)
        entity.add_supported_context(VERIFICATION)
        if self._reports is not None:
            # The requestor is the SCP: it reports on what we have asked for (PS3.4 J.3.3).
            entity.add_supported_context(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
        for sop_class in self._supported_classes():
            entity.add_supported_context(sop_class, TRANSFER_SYNTAXES)
        return entity

    def _supported_classes(self) -> set[str]:
        if self._settings.other_instances == "reject":
            return set(self._sop_classes)
        others = {str(c.abstract_syntax) for c in AllStoragePresentationContexts}
        return others | self._sop_classes


def _check_request(request: Any, identity: Identity) -> None:
    """The data set must be the instance that the request announced (PS3.4 B.2.3)."""
    announced = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
    if announced != (identity.sop_class_uid, identity.sop_instance_uid):
        raise MismatchedInstance(f"{identity.sop_instance_uid} was announced as another one")


def _handle_echo(_: Event) -> int:
    return SUCCESS
