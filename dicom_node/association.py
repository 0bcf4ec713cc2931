"""One accepted association in one thread, from its transport connection to its end."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AddressInformation

from dicom_node.messages import Messages
from dicom_node.statuses import StoreStatus
from dicom_node.store_request import StoreRequest
from dicom_node.upper_layer import Transport, UpperLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom import AE
    from pynetdicom.presentation import PresentationContext

    from dicom_node.upper_layer import Limits

log = logging.getLogger(__name__)

#: PS3.8 Table 9-21: transient, by the service provider (presentation), local limit exceeded.
_LOCAL_LIMIT_EXCEEDED = (0x02, 0x03, 0x02)
#: Why a connection came to nothing that never said what it wanted: a monitor, or a port scan.
NO_REQUEST: Final = "no A-ASSOCIATE-RQ in time"


@dataclass(frozen=True)
class _Errand:
    """Something to do when the peer is silent."""

    #: Seconds of silence that it waits for.
    after_s: float
    #: What is done then.
    act: Callable[[], None]
    #: What is done when the association ends before.
    otherwise: Callable[[], None]


class Host(Protocol):
    """What an association needs of the server that accepted it."""

    ae: AE
    ae_title: str
    #: Offered to every requestor; shared and only read.
    contexts: list[PresentationContext]
    server_address: Any
    limits: Limits
    #: None for associations without TLS.
    tls: ssl.SSLContext | None

    def seat(self, association: AcceptedAssociation) -> bool:
        """The handshake is over; whether there is room for one more association."""
        ...

    def forget(self, association: AcceptedAssociation) -> None:
        """The association is over."""
        ...

    def refuse(self, address: str, reason: str) -> None:
        """A connection from that address came to nothing."""
        ...

    def copy_handlers(self) -> dict[Any, Any]:
        """The event handlers for one association."""
        ...


class AcceptedAssociation(Association):
    """An association that a peer requested, from its transport connection to its end."""

    dul: UpperLayer

    def __init__(self, server: Host, connection: socket.socket, address: tuple[Any, ...]) -> None:
        super().__init__(server.ae, MODE_ACCEPTOR)
        self.limits = server.limits
        #: The peer's address, for the log.
        self.address = str(address[0])
        self._peer = address
        self.name = f"association with {self.address}"
        self._host = server
        self._connection = connection
        self._deadline = monotonic() + self.limits.handshake_timeout_s
        self._has_closed = False
        self._errands: list[_Errand] = []
        self.dul = UpperLayer(self, self.limits.idle_timeout_s)
        self.dimse = Messages(self, self.limits.max_data_set_bytes)
        self.acse_timeout = self.limits.handshake_timeout_s
        self._take_over(server, address)

    def _take_over(self, server: Host, address: tuple[Any, ...]) -> None:
        """What every association of this server has in common."""
        self._handlers = server.copy_handlers()
        self.bind(evt.EVT_CONN_CLOSE, self._note_close)
        self.requestor.address_info = AddressInformation.from_tuple(address)
        acceptor = self.acceptor
        acceptor.maximum_length = self.limits.max_pdu_bytes
        acceptor.ae_title = server.ae_title
        acceptor.address_info = AddressInformation.from_tuple(server.server_address)
        acceptor.implementation_class_uid = server.ae.implementation_class_uid
        acceptor.implementation_version_name = server.ae.implementation_version_name
        # Shared, not copied: negotiation only reads them, and there are hundreds.
        acceptor.supported_contexts = server.contexts

    def when_quiet(
        self, after_s: float, act: Callable[[], None], otherwise: Callable[[], None]
    ) -> None:
        """Do something in this thread, which asks, once the peer has been silent for so long.

        `otherwise` is done in its place when the association ends before.
        """
        self._errands.append(_Errand(after_s, act, otherwise))

    def run_reactor(self) -> None:
        """Serve the peer until one of the two ends the association."""
        try:
            if self._connect() and self._negotiate():
                self._serve()
            self.dul.finish()
        except Exception as error:  # noqa: BLE001 - bytes of a peer can make a decoder raise anything
            log.warning("LM106 association with %s ended: %s", self.address, _words(error))
        finally:
            self._close()

    def hang_up(self) -> None:
        """End the transport connection from another thread, whatever state it is in."""
        with suppress(OSError):
            # Not SSLSocket.shutdown, which pulls the TLS state from under the reading thread.
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def _connect(self) -> bool:
        """Shake hands by TLS where it is asked for. False when the peer does not manage."""
        try:
            self._connection.settimeout(self.limits.handshake_timeout_s)
            self._secure()
        except (ssl.SSLEOFError, ConnectionError, TimeoutError):
            self._host.refuse(self.address, NO_REQUEST)
            return False
        except OSError as error:
            self._host.refuse(self.address, f"TLS: {_words(error)}")
            return False
        transport = Transport(self, self._connection, self.limits)
        transport.deadline = self._deadline
        self.dul.attach(transport)
        evt.trigger(self, evt.EVT_CONN_OPEN, {"address": self._peer})
        return True

    def _secure(self) -> None:
        context = self._host.tls
        if context is not None:
            self._connection = context.wrap_socket(
                self._connection, server_side=True, do_handshake_on_connect=False
            )
            self._connection.do_handshake()

    def _negotiate(self) -> bool:
        """Wait for the A-ASSOCIATE-RQ and answer it. True when the association stands."""
        request = self.dul.receive_pdu(True, self._deadline - monotonic())
        if not isinstance(request, A_ASSOCIATE):
            self._host.refuse(self.address, NO_REQUEST)
            return False
        self.dul.socket.begin()
        self.requestor.primitive = request
        evt.trigger(self, evt.EVT_REQUESTED, {})
        if not (self.is_aborted or self.is_rejected):
            self._answer()
        return bool(self.is_established)

    def _answer(self) -> None:
        if self._host.seat(self):
            self.acse.negotiate_association()
            return
        self.requestor.ae_title = cast("A_ASSOCIATE", self.requestor.primitive).calling_ae_title
        self.acse.send_reject(*_LOCAL_LIMIT_EXCEEDED)
        evt.trigger(self, evt.EVT_REJECTED, {})

    def _serve(self) -> None:
        while not (self._kill or self.dul.is_over):
            self.dul.step(self._patience_s())
            context_id, message = cast("tuple[Any, Any]", self.dimse.get_msg(block=False))
            if isinstance(message, StoreRequest):
                self._serve_store(message)
            elif message is not None:
                self._serve_request(message, context_id)
            if message is not None:
                self.dul.restart_idle_timer()
            self._end_where_due()
            self._run_errands()

    def _patience_s(self) -> float:
        """Seconds after which there is something to do though the peer says nothing."""
        silent_s = self.dul.silent_s()
        waits = [max(0.0, errand.after_s - silent_s) for errand in self._errands]
        return min([self.dul.idle_remaining_s(), *waits])

    def _run_errands(self) -> None:
        silent_s = self.dul.silent_s()
        due = [e for e in self._errands if self.is_established and e.after_s <= silent_s]
        for errand in due:
            self._errands.remove(errand)
            self._is_paused = True  # the library's own reactor, which waits for that, never runs
            errand.act()

    def _serve_store(self, request: StoreRequest) -> None:
        """Answer with what the handler says (PS3.7 9.1.1)."""
        context = self._accepted_cx.get(request.context_id)
        if context is None:
            log.warning("LM114 association with %s aborted: no such context", self.address)
            self.abort(block=False)
            return
        about = {"request": request, "context": context.as_tuple}
        try:
            status = cast("int", evt.trigger(self, evt.EVT_C_STORE, about))
        except Exception:
            log.exception("LM115 instance refused")
            status = StoreStatus.PROCESSING_FAILURE
        if self.is_established:
            self.dul.socket.send(request.response(status))

    def _end_where_due(self) -> None:
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
        elif self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)  # its event is for those who listen
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
        elif not self.dul.idle_remaining_s():
            log.warning("LM107 association with %s aborted: idle", self.address)
            self.abort(block=False)

    def _note_close(self, _: evt.Event) -> None:
        self._has_closed = True

    def _close(self) -> None:
        """Whatever has happened, the socket is closed and those who listen know of the end."""
        self.dul.close()
        self.is_established = False
        self.hang_up()
        self._connection.close()
        if not self._has_closed and self.dul.socket is not None:
            evt.trigger(self, evt.EVT_CONN_CLOSE, {"address": self._peer})
        for errand in self._errands:
            errand.otherwise()
        self._host.forget(self)


def _words(error: Exception) -> str:
    """An error without its data: decoders quote what they cannot read, patients' names too."""
    return (
        f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
    )
