"""The DICOM upper layer of one accepted association, woken by its socket and never by a clock.

pynetdicom gives an association two threads, each of which looks for news every millisecond.
Here its state machine (PS3.8 9.2) and its DIMSE decoder run in the thread of the association,
which sleeps until bytes come, or a primitive from another thread.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from dicom_node.messages import TooLong

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from dicom_node.messages import Messages

log = logging.getLogger(__name__)

#: An A-ASSOCIATE-RQ with 128 presentation contexts of 40 transfer syntaxes each fits twice.
_LONGEST_NEGOTIATION = 1 << 18
#: Seconds that a peer gets to close the connection when the association is over.
_FAREWELL_S = 0.2
#: States of PS3.8 Table 9-10: idle, ready for data, and waiting for the connection to close.
_IDLE, _READY, _CLOSING = "Sta1", "Sta6", "Sta13"
#: Events of the same table: the connection closed, and a PDU that is none.
_CLOSED, _INVALID = "Evt17", "Evt19"
#: Type and length of a PDU (PS3.8 9.3.1).
_PDU = struct.Struct(">BxL")
_P_DATA_TF = 0x04
#: struct timeval: seconds and microseconds.
_TIMEVAL = struct.Struct("@ll")


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
        self._unread = bytearray()

    @property
    def ready(self) -> bool:
        """Whether there is something to read."""
        return self.socket is not None and (self.has_decrypted or bool(self._poll.poll(0)))

    @property
    def has_decrypted(self) -> bool:
        """Whether something is to be read that the system knows nothing of any more."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def begin(self) -> None:
        """The handshake is over: from now on each PDU has the idle timeout, in either direction.

        The system then keeps the time of a plain connection, and fills a whole PDU in one call;
        Python would ask it three times for each piece that comes.
        """
        self.deadline = None
        if self.socket is not None and not isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(None)
            seconds, fraction = divmod(self._limits.idle_timeout_s, 1)
            timeout = _TIMEVAL.pack(int(seconds), max(1, int(1e6 * fraction)))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self.socket.setsockopt(socket.SOL_SOCKET, option, timeout)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly so many bytes; fewer when the peer closes the connection.

        Raises TooLong, and TimeoutError or BlockingIOError when they do not come in time.
        """
        if nr_bytes > self._longest:
            raise TooLong(f"a PDU of {nr_bytes} bytes; at most {self._longest} are allowed")
        if self._unread:
            data, self._unread = self._unread, bytearray()
            return data
        if self.socket is not None and self.socket.gettimeout() is None:
            data = bytearray(nr_bytes)
            del data[self.socket.recv_into(data, nr_bytes, socket.MSG_WAITALL) :]
            return data
        return self._recv_by(self.deadline or monotonic() + self._limits.idle_timeout_s, nr_bytes)

    def _recv_by(self, deadline: float, nr_bytes: int) -> bytearray:
        data = bytearray(nr_bytes)
        view, filled = memoryview(data), 0
        while filled < nr_bytes and self.socket is not None:
            self.socket.settimeout(max(0.001, deadline - monotonic()))
            count = self.socket.recv_into(view[filled:])
            if not count:
                break
            filled += count
        view.release()
        del data[filled:]
        return data

    def unread(self, header: bytearray) -> None:
        """The next read gives this."""
        self._unread = header

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
            self._hear(timeout_s)
        self.settle()

    def _hear(self, timeout_s: float | None) -> None:
        if self._wait(timeout_s) and self.state_machine.current_state == _READY:
            self._read_pdu_data()
            self.restart_idle_timer()
        elif self._is_transport_event():
            self.restart_idle_timer()

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

    def silent_s(self) -> float:
        """Seconds since the peer has said something."""
        return monotonic() - self._heard_at

    def idle_remaining_s(self) -> float:
        """Seconds until the peer has been silent for too long."""
        return max(0.0, self._idle_timeout_s - self.silent_s())

    def _read_pdu_data(self) -> None:
        """Read one PDU; those with data, which nearly all are, go straight to the messages."""
        if self.state_machine.current_state != _READY:
            super()._read_pdu_data()
            return
        header = self._read(_PDU.size)
        if header is None:
            return
        kind, length = _PDU.unpack(header)
        if kind != _P_DATA_TF:
            self.socket.unread(header)
            super()._read_pdu_data()
            return
        body = self._read(length)
        if body is not None and not cast("Messages", self.assoc.dimse).receive(body):
            self.event_queue.put(_INVALID)

    def _read(self, count: int) -> bytearray | None:
        """So many bytes, or None when the peer does not send them."""
        try:
            data = self.socket.recv(count)
        except OSError as error:
            log.debug("%s", error)
            data = bytearray()
        if len(data) == count:
            return data
        self.event_queue.put(_CLOSED)
        return None

    def _wait(self, timeout_s: float | None) -> bool:
        """Wait for the socket or the bell; whether there is something to read."""
        if self.socket.has_decrypted:
            return True
        events = self._poll.poll(None if timeout_s is None else 1000 * timeout_s + 1)
        heard = [descriptor for descriptor, _ in events]
        if self._bell in heard:
            with suppress(BlockingIOError):
                os.eventfd_read(self._bell)
        return any(descriptor != self._bell for descriptor in heard)
