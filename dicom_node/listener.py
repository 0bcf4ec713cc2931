"""Storage and Verification SCP: keeps what comes, and answers with a named status."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node import meters, tls
from dicom_node.acceptor import Acceptor
from dicom_node.admission import Admission
from dicom_node.arrivals import Arrivals
from dicom_node.audit import Party
from dicom_node.encoded import file_header
from dicom_node.errors import OutOfSpace, QueueUnavailable, UnreadableInstance
from dicom_node.gate import Gate
from dicom_node.instance import REFUSED, Sizes, check_request, identify
from dicom_node.sop_classes import STORAGE_COMMITMENT, VERIFICATION
from dicom_node.spool import Shelf, is_uid
from dicom_node.statuses import SUCCESS, StoreStatus
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from dicom_node.transfers import Tally
from dicom_node.upper_layer import Limits
from plugin.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

    from dicom_node.arrivals import Place
    from dicom_node.arriving import Marks
    from dicom_node.association import AcceptedAssociation
    from dicom_node.audit import Trail
    from dicom_node.commitment import Reports
    from dicom_node.commitment_scp import Inquiries
    from dicom_node.config_tables import Listener as Settings
    from dicom_node.live import Live
    from dicom_node.spool import Spool
    from dicom_node.store_request import StoreRequest

log = logging.getLogger(__name__)


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
        live: Live[Settings],
        spool: Spool,
        sop_classes: frozenset[str],
        notices: Notices,
        trail: Trail,
        marks: Marks,
        reports: Reports | None = None,
        inquiries: Inquiries | None = None,
    ) -> None:
        """Take the parts that are told and asked.

        `sop_classes` are those of the plugin; all others are set aside or rejected. `reports`
        takes storage commitment reports and `inquiries` the requests; without them there is
        no such role.
        """
        self._live = live
        self._spool = spool
        self._sop_classes = sop_classes
        self._notices = notices
        self._trail = trail
        self._reports = reports
        self._inquiries = inquiries
        self._gate = Gate(Admission(live, spool.is_full), trail, self._open_associations)
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
            tls=self._tls(),
            admits=self._gate.admits,
            on_refused=self._gate.handle_refused,
            share_port=settings.processes > 1,
        )
        self._acceptor.start()
        meters.listening(lambda: len(self._open_associations()))
        log.info("LM101 listening as %s on %s:%d", settings.ae_title, settings.host, settings.port)

    def stop(self, within_s: float) -> None:
        """Accept no more, let open associations end, and abort those that do not in time."""
        if self._acceptor is not None:
            self._acceptor.stop(within_s)

    def renew(self) -> None:
        """Associations that come from now on are taken by the settings of this moment."""
        if self._acceptor is not None:
            self._acceptor.renew(self._limits(), self._tls())

    @property
    def is_accepting(self) -> bool:
        """Whether a peer that connects is answered."""
        return self._acceptor is not None and self._acceptor.is_accepting

    def handle_store(self, event: Event) -> int:
        """Keep one instance (PS3.4 B.2.3)."""
        try:
            return self._store(event)
        except UnreadableInstance as error:
            return self._quarantine(event, error)
        except tuple(REFUSED) as error:
            log.warning("LM104 instance refused: %s", error)
            return REFUSED[type(error)]
        except (OutOfSpace, QueueUnavailable, OSError) as error:
            log.error("LM105 instance refused, out of resources: %s", error)  # noqa: TRY400
            return StoreStatus.OUT_OF_RESOURCES

    @property
    def _settings(self) -> Settings:
        return self._live.now

    @property
    def _sizes(self) -> Sizes:
        settings = self._settings
        return Sizes(settings.max_instance_mb << 20, settings.max_decoded_mb << 20)

    def _store(self, event: Event) -> int:
        syntax = event.context.transfer_syntax
        request = cast("StoreRequest", event.request)
        identity = identify(request.pieces, syntax, self._sizes)
        check_request(request, identity)
        shelf = Shelf.SERIES if identity.sop_class_uid in self._sop_classes else Shelf.ASIDE
        sop_class_uid, sop_instance_uid = identity.sop_class_uid, identity.sop_instance_uid
        header = file_header(sop_class_uid, sop_instance_uid, syntax)
        is_new = self._spool.add(
            shelf, identity.series_uid, sop_instance_uid, header, *request.pieces
        )
        self._give_notice(event.assoc, (shelf, identity.series_uid))
        self._tally.add(event.assoc, identity, is_new=is_new)
        return StoreStatus.SUCCESS

    def _give_notice(self, association: Association, place: Place) -> None:
        """Before the first Success for a series in an association, unless others have given it."""
        if not self._arrivals.is_new(association, place):
            return
        if self._arrivals.join(association, place):
            return
        shelf, series_uid = place
        notice = self._notices.aside if shelf is Shelf.ASIDE else self._notices.began
        notice(series_uid)
        # Only now: when the notice fails, the next instance has to give it.
        self._arrivals.add(association, place)

    def _quarantine(self, event: Event, error: UnreadableInstance) -> int:
        try:
            path = self._spool.quarantine(_as_file(event))
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
            (evt.EVT_ACCEPTED, _count),
            (evt.EVT_C_STORE, meters.stored(self.handle_store)),
            (evt.EVT_C_ECHO, _handle_echo),
            (evt.EVT_CONN_CLOSE, self._handle_close),
        ]
        if self._reports is not None:
            handlers.append((evt.EVT_N_EVENT_REPORT, self._reports.handle))
        if self._inquiries is not None:
            handlers.append((evt.EVT_N_ACTION, self._inquiries.handle))
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

    def _tls(self) -> ssl.SSLContext | None:
        table = self._settings.tls
        return None if table is None else tls.server_context(table)

    def _make_entity(self) -> AE:
        entity = AE(self._settings.ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.supported_contexts = supported_contexts(
            self._settings,
            self._sop_classes,
            asked=self._inquiries is not None,
            reported=self._reports is not None,
        )
        return entity


def supported_contexts(
    settings: Settings, sop_classes: frozenset[str], *, asked: bool, reported: bool
) -> list[PresentationContext]:
    """What is accepted (PS3.8 9.3.2.2), with the roles of a requestor where it may choose.

    `sop_classes` are those of the plugin. `asked` says whether storage commitment may be
    asked of us, `reported` whether a requestor that is the SCP may report on what we asked.
    """
    entity = AE(settings.ae_title)
    entity.add_supported_context(VERIFICATION)
    if asked or reported:
        entity.add_supported_context(STORAGE_COMMITMENT, scu_role=asked, scp_role=reported)
    for sop_class in storage_classes(settings, sop_classes):
        entity.add_supported_context(sop_class, TRANSFER_SYNTAXES)
    return entity.supported_contexts


def storage_classes(settings: Settings, sop_classes: frozenset[str]) -> set[str]:
    """SOP Classes of the instances that are kept, for the plugin or aside."""
    if settings.other_instances == "reject":
        return set(sop_classes)
    others = {str(c.abstract_syntax) for c in AllStoragePresentationContexts}
    return others | sop_classes


def _as_file(event: Event) -> bytes:
    """What came as a DICOM file, whatever the request says in the place of UIDs."""
    request = cast("StoreRequest", event.request)
    announced = (request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
    sop_class, sop_instance = (uid if is_uid(uid) else "" for uid in announced)
    header = file_header(sop_class, sop_instance, event.context.transfer_syntax)
    return b"".join((header, *request.pieces))


def _count(_: Event) -> None:
    meters.ASSOCIATIONS.inc()


def _handle_echo(_: Event) -> int:
    return SUCCESS
