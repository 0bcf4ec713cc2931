"""Accepts transport connections; every other word with a peer is said in its own thread."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from pynetdicom import evt
from pynetdicom.transport import AssociationServer

from dicom_node.association import AcceptedAssociation

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from pynetdicom import AE

    from dicom_node.upper_layer import Limits

log = logging.getLogger(__name__)

#: Seconds that an aborted association gets to say so to its peer.
_FAREWELL_S = 1.0
#: Seconds before the next try when the system does not let us accept.
_PAUSE_S = 0.1
#: Seconds after which a thread that does not come back to accept counts as stuck.
_LONGEST_ABSENCE_S = 30.0


class Acceptor(AssociationServer):
    """Listens on one address; bounded in associations, in handshakes and in their time."""

    #: Connections that the system holds until we accept them.
    request_queue_size = 128

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        handlers: Iterable[tuple[Any, ...]],
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
        admits: Callable[[str], bool] | None = None,
        on_refused: Callable[[str, str], None] | None = None,
        share_port: bool = False,
    ) -> None:
        """Bind the address. Raises OSError when it is taken.

        `admits` judges the address of a peer before a byte of it is read; `on_refused` hears
        the address and the reason of each connection that never became an association request.
        Processes that `share_port` accept on the same port in turn (SO_REUSEPORT).
        """
        self.limits = limits
        self.tls = tls
        self._admits = admits or (lambda _: True)
        self._on_refused = on_refused or _log_refused
        self._share_port = share_port
        self._stops = Event()
        self._seen_at = monotonic()
        self._thread = Thread(target=self.serve_forever, name="acceptor", daemon=True)
        self._lock = Lock()
        # In the order of their arrival: the first is the oldest.
        self._handshakes: dict[AcceptedAssociation, None] = {}
        self._associations: set[AcceptedAssociation] = set()
        super().__init__(
            entity, address, entity.ae_title, entity.supported_contexts, None, list(handlers)
        )
        self._leave_counting_to_us()

    def start(self) -> None:
        """Accept from now on."""
        self._thread.start()

    def renew(self, limits: Limits, tls: ssl.SSLContext | None) -> None:
        """Associations that come from now on have these limits, and are secured like this."""
        self.limits, self.tls = limits, tls
        self._leave_counting_to_us()

    def stop(self, within_s: float) -> None:
        """Accept no more, let associations end, and abort those that do not in time."""
        self._stops.set()
        with suppress(OSError):  # wakes the thread that accepts
            cast("socket.socket", self.socket).shutdown(socket.SHUT_RDWR)
        super(AssociationServer, self).shutdown()
        self.server_close()
        deadline = monotonic() + within_s
        for association in self._snapshot(self._handshakes):
            association.hang_up()
        for association in self._snapshot(self._associations):
            association.join(max(0.0, deadline - monotonic()))
        self._abort(self._snapshot(self._associations))

    def seat(self, association: AcceptedAssociation) -> bool:
        """The handshake is over; whether there is room for one more association."""
        with self._lock:
            self._handshakes.pop(association, None)
            if len(self._associations) >= self.limits.max_associations:
                return False
            self._associations.add(association)
            return True

    def forget(self, association: AcceptedAssociation) -> None:
        """The association is over."""
        with self._lock:
            self._handshakes.pop(association, None)
            self._associations.discard(association)

    def refuse(self, address: str, reason: str) -> None:
        """A connection from that address came to nothing."""
        self._on_refused(address, reason)

    def copy_handlers(self) -> dict[Any, Any]:
        """The event handlers for one association."""
        return {
            event: list(bound) if isinstance(bound, list) else bound
            for event, bound in self._handlers.items()
        }

    @property
    def is_accepting(self) -> bool:
        """Whether its thread is at its post; one that accepts is never away for long."""
        return self._thread.is_alive() and monotonic() - self._seen_at < _LONGEST_ABSENCE_S

    @property
    def active_associations(self) -> list[AcceptedAssociation]:  # type: ignore[override]
        """All that are not over."""
        return self._snapshot(self._associations)

    def server_bind(self) -> None:
        """Bind, and share the port where that is wanted."""
        listening = cast("socket.socket", self.socket)
        if self._share_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()
        listening.settimeout(None)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection; TLS is for its own thread."""
        try:
            connection, address = cast("socket.socket", self.socket).accept()
        except OSError as error:
            if not self._stops.is_set():
                log.error("LM108 cannot accept: %s", error.strerror)  # noqa: TRY400
                # Out of descriptors, most likely; without a pause the loop would spin.
                self._drop_oldest()
                self._stops.wait(_PAUSE_S)
            raise
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether that address may speak to us at all."""
        del request
        if self._admits(client_address[0]):
            return True
        self.refuse(client_address[0], "the address is not allowed")
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread of its own, and a place among the handshakes."""
        association = AcceptedAssociation(self, request, client_address)
        with self._lock:
            is_crowded = len(self._handshakes) >= self.limits.max_handshakes
            self._handshakes[association] = None
        if is_crowded:
            self._drop_oldest()
        association.start()

    def service_actions(self) -> None:
        """Be seen, twice a second; the library collects garbage here, which holds up everybody."""
        self._seen_at = monotonic()

    def _leave_counting_to_us(self) -> None:
        """The library would count handshakes as associations."""
        limits = self.limits
        self.ae.maximum_associations = limits.max_associations + limits.max_handshakes

    def _drop_oldest(self) -> None:
        """An honest peer needs milliseconds for its handshake; the oldest is the least honest."""
        with self._lock:
            oldest = next(iter(self._handshakes), None)
            if oldest is not None:
                del self._handshakes[oldest]
        if oldest is not None:
            oldest.hang_up()

    def _snapshot(self, associations: Iterable[AcceptedAssociation]) -> list[AcceptedAssociation]:
        with self._lock:
            return list(associations)

    def _abort(self, associations: list[AcceptedAssociation]) -> None:
        for association in associations:
            association.abort(block=False)
        for association in associations:
            association.join(_FAREWELL_S)
            association.hang_up()

    def _bind_defaults(self) -> None:
        """Without the library's own log, which formats every PDU whether it is shown or not."""
        for event in evt._INTERVENTION_EVENTS:
            self.bind(event, evt.get_default_handler(event))


def _log_refused(address: str, reason: str) -> None:
    log.warning("LM109 connection from %s refused: %s", address, reason)
