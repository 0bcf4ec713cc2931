"""Storage and Verification SCP: shakes hands, keeps what comes, answers with a named status."""

from __future__ import annotations

import logging
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from time import monotonic
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import AllTransferSyntaxes, ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node.arrivals import Arrivals
from dicom_node.errors import (
    MismatchedInstance,
    OutOfSpace,
    QueueUnavailable,
    UnreadableInstance,
)
from dicom_node.sop_classes import VERIFICATION
from dicom_node.spool import Shelf
from dicom_node.statuses import SUCCESS, StoreStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

    from dicom_node.arrivals import Place
    from dicom_node.config import Listener as Settings
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

#: What pydicom raises on bytes that are no data set.
_FAULTS = (
    InvalidDicomError, AttributeError, EOFError, IndexError, KeyError, NotImplementedError,
    OSError, RecursionError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """The UIDs by which an instance is kept."""

    #: SOP Class UID (0008,0016).
    sop_class_uid: str
    #: SOP Instance UID (0008,0018).
    sop_instance_uid: str
    #: Series Instance UID (0020,000E).
    series_uid: str


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
        self, settings: Settings, spool: Spool, sop_classes: frozenset[str], notices: Notices
    ) -> None:
        """`sop_classes` are those of the plugin; all others are set aside or rejected."""
        self._settings = settings
        self._spool = spool
        self._sop_classes = sop_classes
        self._notices = notices
        self._arrivals = Arrivals()
        self._server: ThreadedAssociationServer | None = None
        self._entity = self._make_entity()

    def start(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self.handle_store),
            (evt.EVT_C_ECHO, _handle_echo),
            (evt.EVT_CONN_CLOSE, self._handle_close),
            (evt.EVT_REJECTED, _handle_rejected),
        ]
        address = (self._settings.host, self._settings.port)
        self._server = self._entity.start_server(address, block=False, evt_handlers=handlers)
        log.info("LM101 listening as %s on %s:%d", self._settings.ae_title, *address)

    def stop(self, within_s: float) -> None:
        """Accept no more, let open associations end, and abort those that do not in time."""
        if self._server is None:
            return
        self._server.shutdown()
        deadline = monotonic() + within_s
        for association in self._server.active_associations:
            association.join(max(0.0, deadline - monotonic()))
        self._entity.shutdown()

    def is_arriving(self, series_uid: str) -> bool:
        """Whether an association that brought instances of the series is still open."""
        return self._arrivals.is_arriving((Shelf.SERIES, series_uid))

    def handle_store(self, event: Event) -> int:
        """Keep one instance (PS3.4 B.2.3)."""
        try:
            return self._store(event)
        except UnreadableInstance as error:
            return self._quarantine(event, error)
        except MismatchedInstance as error:
            log.warning("LM104 instance refused: %s", error)
            return StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS
        except (OutOfSpace, QueueUnavailable, OSError) as error:
            log.error("LM105 instance refused, out of resources: %s", error)  # noqa: TRY400
            return StoreStatus.OUT_OF_RESOURCES

    def _store(self, event: Event) -> int:
        data = event.encoded_dataset()
        identity = identify(data)
        _check_request(event.request, identity)
        shelf = Shelf.SERIES if identity.sop_class_uid in self._sop_classes else Shelf.ASIDE
        self._spool.add(shelf, identity.series_uid, identity.sop_instance_uid, data)
        self._give_notice(event.assoc, (shelf, identity.series_uid))
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
            path = self._spool.quarantine(_quarantine_name(event), event.encoded_dataset())
        except (OutOfSpace, OSError) as fault:
            log.error("LM105 bytes refused, out of resources: %s", fault)  # noqa: TRY400
            return StoreStatus.OUT_OF_RESOURCES
        log.warning("LM103 instance quarantined as %s: %s", path.name, error)
        return StoreStatus.CANNOT_UNDERSTAND

    def _handle_close(self, event: Event) -> None:
        for shelf, series_uid in self._arrivals.end(event.assoc):
            if shelf is Shelf.SERIES:
                self._notices.ended(series_uid)

    def _make_entity(self) -> AE:
        settings = self._settings
        entity = AE(settings.ae_title)
        entity.maximum_associations = settings.max_associations
        entity.maximum_pdu_size = settings.max_pdu_bytes
        entity.network_timeout = settings.idle_timeout_s
        entity.require_called_aet = True
        entity.require_calling_aet = list(settings.calling_ae_titles)
        entity.add_supported_context(VERIFICATION)
        for sop_class in self._supported_classes():
            entity.add_supported_context(sop_class, TRANSFER_SYNTAXES)
        return entity

    def _supported_classes(self) -> set[str]:
        if self._settings.other_instances == "reject":
            return set(self._sop_classes)
        others = {str(c.abstract_syntax) for c in AllStoragePresentationContexts}
        return others | self._sop_classes


def identify(data: bytes) -> Identity:
    """Read the UIDs of an encoded DICOM file without its pixels.

    Raises UnreadableInstance when it is no data set or lacks one of them.
    """
    tags = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"]
    try:
        header = dcmread(BytesIO(data), specific_tags=tags, stop_before_pixels=True)
        return Identity(*(str(header[tag].value) for tag in tags))
    except _FAULTS as error:
        raise UnreadableInstance(f"{type(error).__name__}: {error}") from error


def _check_request(request: Any, identity: Identity) -> None:
    """The data set must be the instance that the request announced (PS3.4 B.2.3)."""
    announced = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
    found = (identity.sop_class_uid, identity.sop_instance_uid)
    if announced != found:
        raise MismatchedInstance(f"announced {announced}, found {found}")


def _quarantine_name(event: Event) -> str:
    return f"{event.timestamp:%Y%m%dT%H%M%S}"


def _handle_echo(_: Event) -> int:
    return SUCCESS


def _handle_rejected(event: Event) -> None:
    requestor = event.assoc.requestor
    log.warning("LM102 association rejected: %r at %s", requestor.ae_title, requestor.address)
