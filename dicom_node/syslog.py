"""Carries audit messages to a file or a syslog server (RFC 5424), and holds nobody up."""

from __future__ import annotations

import logging
import os
import socket
from queue import Full, Queue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

log = logging.getLogger(__name__)

#: Facility 10 (security and authorization), severity 5 (PS3.15 A.6).
_PRIORITY = 10 * 8 + 5
#: MSGID of audit messages (PS3.15 A.6).
_MESSAGE_ID = "DICOM+RFC3881"
#: Messages that wait to be written; thousands of associations in a moment.
_LONGEST_QUEUE = 10_000
#: Seconds for a server to take a message.
_TIMEOUT_S = 5.0
#: Seconds until a server that failed is asked again.
_RETRY_AFTER_S = 30.0


class Sink(Protocol):
    """Where messages end."""

    def write(self, message: bytes) -> None:
        """Take one message. Raises OSError."""
        ...


class FileSink:
    """A file of one message a line; opened for each, so that it may be rotated at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, message: bytes) -> None:
        """Append, in one piece even where several processes write."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, message + b"\n")
        finally:
            os.close(descriptor)


class UdpSink:
    """One message a datagram to a server (RFC 5426)."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)

    def write(self, message: bytes) -> None:
        """Look the server up and send."""
        [(family, *_, address), *_] = socket.getaddrinfo(*self._server, type=socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(message, address)


class UnixSink:
    """One message a datagram to the syslog daemon of this machine."""

    def __init__(self, path: str) -> None:
        self._path = path

    def write(self, message: bytes) -> None:
        """Send, unless the daemon has no room for a while."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_TIMEOUT_S)
            sender.sendto(message, self._path)


class StreamSink:
    """Messages behind their lengths on one TCP connection (RFC 6587 3.4.1)."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._connection: socket.socket | None = None

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def write(self, message: bytes) -> None:
        """Send, over a new connection when the server has closed the last one."""
        try:
            if self._connection is not None and _is_closed(self._connection):
                self.close()
            if self._connection is None:
                self._connection = socket.create_connection(self._address, _TIMEOUT_S)
            self._connection.sendall(b"%d %s" % (len(message), message))
        except OSError:
            self.close()
            raise


class Writer:
    """Writes in a thread of its own. What a server does not take goes to a file."""

    def __init__(self, sink: Sink, spare: Sink) -> None:
        """`spare` takes what `sink` does not."""
        self._sink = sink
        self._spare = spare
        self._skip_until = 0.0
        self._queue: Queue[bytes | None] = Queue(_LONGEST_QUEUE)
        self._thread = Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def put(self, message: bytes) -> None:
        """Hand over one message; returns at once."""
        try:
            self._queue.put_nowait(message)
        except Full:
            log.error("LM803 audit message lost: %d are waiting", _LONGEST_QUEUE)  # noqa: TRY400

    def close(self) -> None:
        """Write what is waiting."""
        self._queue.put(None)
        self._thread.join(2 * _TIMEOUT_S)

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            self._write(message)

    def _write(self, message: bytes) -> None:
        if monotonic() >= self._skip_until:
            try:
                self._sink.write(message)
            except OSError as error:
                self._skip_until = monotonic() + _RETRY_AFTER_S
                log.warning("LM801 audit trail: %s; audit.log in state_dir takes over", error)
            else:
                return
        try:
            self._spare.write(message)
        except OSError as error:
            log.error("LM802 audit message lost: %s", error)  # noqa: TRY400


def make_sink(to: str, path: Path) -> Sink:
    """The sink for `audit.to`; `path` is the file for "file"."""
    url = urlsplit(to)
    host, port = url.hostname or "", url.port or 0
    if url.scheme == "udp":
        return UdpSink(host, port)
    if url.scheme == "tcp":
        return StreamSink(host, port)
    if url.scheme == "unix":
        return UnixSink(url.path)
    return FileSink(path)


def frame(message: bytes, at: datetime, application: str) -> bytes:
    """A syslog message (RFC 5424 6) that carries an audit message."""
    head = f"<{_PRIORITY}>1 {at.isoformat(timespec='milliseconds')} {HOST} {application} "
    return f"{head}{os.getpid()} {_MESSAGE_ID} - \ufeff".encode() + message


def _is_closed(connection: socket.socket) -> bool:
    """Whether the server has ended the connection; it never says anything else."""
    connection.settimeout(0)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(_TIMEOUT_S)


def _host() -> str:
    name = socket.gethostname().encode("ascii", "ignore").decode()
    return "".join(c for c in name if "!" <= c <= "~")[:255] or "-"


HOST: Final = _host()
