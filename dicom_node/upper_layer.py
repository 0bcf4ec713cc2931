"""The DICOM upper layer of one accepted association, woken by its socket and never by a clock.

pynetdicom gives an association two threads, each of which looks for news every millisecond.
Here its state machine (PS3.8 9.2) and its DIMSE decoder run in the thread of the association,
which sleeps until bytes come, or a primitive from another thread.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from dicom_node.encoded import store_response

if TYPE_CHECKING:
    from pynetdicom.association import Association

#: An A-ASSOCIATE-RQ with 128 presentation contexts of 40 transfer syntaxes each fits twice.
_LONGEST_NEGOTIATION = 1 << 18
#: Command sets hold two UIDs and some numbers (PS3.7 9.3).
_LONGEST_COMMAND = 1 << 16
#: Of the message control header: the fragment is of a command set (PS3.8 E.2).
_IS_COMMAND = 0x01
#: Seconds that a peer gets to close the connection when the association is over.
_FAREWELL_S = 0.2
#: States of PS3.8 Table 9-10: idle, and waiting for the transport connection to close.
_IDLE, _CLOSING = "Sta1", "Sta13"
#: Message Control Header (PS3.8 E.2); a command set is far below every maximum length.
_LAST_COMMAND_FRAGMENT = 0x03


@dataclass(frozen=True)
class Limits:
    """What one listener bears; a peer beyond a limit loses its association, nobody else's."""

    #: Associations at the same time; more are rejected as transient.
    max_associations: int
    #: Seconds without a word after which an association is aborted, and within which a PDU
    #: that has begun must be complete.
    idle_timeout_s: float
    #: Longest PDU, bytes; announced to the requestor (PS3.8 D.1).
    max_pdu_bytes: int
    #: Longest data set of a message, bytes; of a longer one the end is dropped.
    max_data_set_bytes: int
    #: Transport connections that are no associations yet; beyond this the oldest is closed.
    max_handshakes: int = 64
    #: Seconds from the transport connection to the complete A-ASSOCIATE-RQ, TLS included.
    handshake_timeout_s: float = 10.0


class TooLong(OSError):
    """A peer sends more in one piece than it was told it may."""


class Transport(AssociationSocket):
    """A socket that reads in large pieces, and gives up on peers that send drop by drop."""

    def __init__(self, association: Association, sock: socket.socket, limits: Limits) -> None:
        super().__init__(association, client_socket=sock)
        self._limits = limits
        self._longest = max(_LONGEST_NEGOTIATION, limits.max_pdu_bytes)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        #: When the handshake must be over, by the monotonic clock; None once it is.
        self.deadline: float | None = None

    @property
    def ready(self) -> bool:
        """Whether there is something to read."""
        return self.socket is not None and (self._has_decrypted() or bool(self._poll.poll(0)))

    def _has_decrypted(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly so many bytes; fewer when the peer closes the connection.

        Raises TooLong, and TimeoutError when they do not come in time.
        """
        if nr_bytes > self._longest:
            raise TooLong(f"a PDU of {nr_bytes} bytes; at most {self._longest} are allowed")
        data = bytearray(nr_bytes)
        view, filled = memoryview(data), 0
        deadline = self.deadline or monotonic() + self._limits.idle_timeout_s
        while filled < nr_bytes and self.socket is not None:
            self.socket.settimeout(max(0.001, deadline - monotonic()))
            count = self.socket.recv_into(view[filled:])
            if not count:
                break
            filled += count
        view.release()
        del data[filled:]
        return data

    def drain(self) -> None:
        """Say no more, and throw away what comes until the peer closes, for a short while.

        A close with bytes unread would reset the connection, and with it what we sent last.
        """
        deadline, sock = monotonic() + _FAREWELL_S, self.socket
        with suppress(OSError):
            # Not SSLSocket.shutdown, which forgets the TLS state.
            socket.socket.shutdown(cast("socket.socket", sock), socket.SHUT_WR)
            while sock is not None and (remaining := deadline - monotonic()) > 0:
                sock.settimeout(remaining)
                if not sock.recv(_LONGEST_NEGOTIATION):
                    return


class UpperLayer(DULServiceProvider):
    """The DICOM upper layer (PS3.8) of one association, in the association's own thread."""

    #: From `attach` on; None before.
    socket: Transport

    def __init__(self, association: Association, idle_timeout_s: float) -> None:
        super().__init__(association)
        self._idle_timeout_s = idle_timeout_s
        self._heard_at = monotonic()
        self._poll = select.poll()
        self._lock = Lock()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._bell, select.POLLIN)

    def attach(self, sock: Transport) -> None:
        """Take the connected socket; from now on there is an upper layer."""
        self.socket = sock
        self._poll.register(cast("socket.socket", sock.socket), select.POLLIN)

    def close(self) -> None:
        """Nothing more is to be waited for."""
        with self._lock:
            os.close(self._bell)
            self._bell = -1

    @property
    def is_over(self) -> bool:
        """Whether no more messages can come."""
        return self._kill_thread or self.state_machine.current_state in (_IDLE, _CLOSING)

    def send_pdu(self, primitive: Any) -> None:
        """Send at once, or wake the association's thread so that it does."""
        super().send_pdu(primitive)
        if current_thread() is self.assoc:
            self.settle()
            return
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def receive_pdu(self, wait: bool = False, timeout: float | None = None) -> Any:
        """The next primitive of the association service, or None when none comes in time."""
        deadline = monotonic() + (timeout or 0.0)
        while wait and self.to_user_queue.empty() and not self._kill_thread:
            remaining = deadline - monotonic()
            if timeout is not None and remaining <= 0:
                break
            self.step(None if timeout is None else remaining)
        return super().receive_pdu(wait=False)

    def step(self, timeout_s: float | None) -> None:
        """Act on what is known; when that is nothing new, wait for one piece of news."""
        self.settle()
        if self._kill_thread or not self.to_user_queue.empty():
            return
        if self.socket is not None:
            self._wait(timeout_s)
            if self._is_transport_event():
                self.restart_idle_timer()
        self.settle()

    def settle(self) -> None:
        """Let the state machine act on every event and primitive there is."""
        while not self._kill_thread:
            if self.event_queue.empty() and not self._process_recv_primitive():
                return
            self.state_machine.do_action(self.event_queue.get_nowait())

    def finish(self) -> None:
        """Let the peer read our last word, then close (PS3.8 9.2, Sta13)."""
        self.settle()
        if not self._kill_thread and self.state_machine.current_state == _CLOSING:
            self.socket.drain()
            self.event_queue.put("Evt17")
            self.settle()

    def restart_idle_timer(self) -> None:
        """The peer has just said something, or it was we who kept it waiting."""
        self._heard_at = monotonic()

    def idle_remaining_s(self) -> float:
        """Seconds until the peer has been silent for too long."""
        return max(0.0, self._heard_at + self._idle_timeout_s - monotonic())

    def _wait(self, timeout_s: float | None) -> None:
        """Wait for the socket or the bell."""
        if self.socket.ready:
            return
        self._poll.poll(None if timeout_s is None else 1000 * timeout_s + 1)
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)


class Messages(DIMSEServiceProvider):
    """Puts messages together from their fragments, and keeps of each no more than it may hold.

    The end of a data set that is too long is dropped, but the message completes: it can then be
    refused by name, and the next one on the association is not lost with it.
    """

    def __init__(self, association: Association, longest: int) -> None:
        super().__init__(association)
        self._longest = longest
        self._command_length = self._data_set_length = 0

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Add fragments. Raises TooLong for a command set without end."""
        fragments = primitive.presentation_data_value_list
        primitive.presentation_data_value_list = [self._bounded(*f) for f in fragments]
        super().receive_primitive(primitive)
        if self.message is None:
            self._command_length = self._data_set_length = 0

    def _bounded(self, context_id: int, data: bytes) -> Any:
        """A fragment, or its control header alone (PS3.8 E.2) behind one byte too many."""
        if data[0] & _IS_COMMAND:
            self._command_length += len(data)
            if self._command_length > _LONGEST_COMMAND:
                raise TooLong(f"a command set of more than {_LONGEST_COMMAND} bytes")
            return [context_id, data]
        is_enough = self._data_set_length > self._longest
        self._data_set_length += len(data) - 1
        return [context_id, data[:1] if is_enough else data]

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message; a C-STORE response, of which there are many, by the short way."""
        if not _is_plain_store_response(primitive):
            super().send_msg(primitive, context_id)
            return
        pdata = P_DATA()
        command = bytes([_LAST_COMMAND_FRAGMENT]) + store_response(primitive)
        pdata.presentation_data_value_list.append((context_id, command))
        self.dul.send_pdu(pdata)


def _is_plain_store_response(primitive: Any) -> bool:
    """Without the comment and the offending elements that a handler may give (PS3.7 C)."""
    return (
        isinstance(primitive, C_STORE)
        and primitive.MessageIDBeingRespondedTo is not None
        and primitive.ErrorComment is None
        and primitive.OffendingElement is None
    )
