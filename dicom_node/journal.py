"""Records for systemd's journal in its own protocol, each with fields to search for.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

from dicom_node.log_facts import facts

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET: Final = "/run/systemd/journal/socket"
#: syslog(3): the journal's levels, by the least of ours that has it.
_PRIORITIES: Final = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
_DEBUG: Final = 7
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def has_stderr(stream: str | None) -> bool:
    """Whether standard error goes to the journal, as $JOURNAL_STREAM says (systemd.exec(5))."""
    try:
        status = os.fstat(2)
    except OSError:  # it is closed
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


class JournalHandler(logging.Handler):
    """Sends each record as one datagram. Raises OSError where there is no journal."""

    def __init__(self, address: str = SOCKET) -> None:
        super().__init__()
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._channel.connect(address)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; one that cannot be sent goes to standard error."""
        message = self.format(record)
        try:
            self._send(_encode(_fields(record, message)))
        except OSError:  # the journal is being restarted
            sys.stderr.write(f"{message}\n")

    def close(self) -> None:
        """Close the socket."""
        self._channel.close()
        super().close()

    def _send(self, data: bytes) -> None:
        try:
            self._channel.send(data)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_as_file(data)

    def _send_as_file(self, data: bytes) -> None:
        """What is too long for a datagram goes as a sealed file in memory."""
        descriptor = os.memfd_create("record", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(descriptor, data)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            socket.send_fds(self._channel, [b""], [descriptor])
        finally:
            os.close(descriptor)


def _fields(record: logging.LogRecord, message: str) -> dict[str, str]:
    """The journal's fields (systemd.journal-fields(7)), and ours."""
    ours = {f"LESIONMARK_{name.upper()}": value for name, value in facts(record).items()}
    return {
        "MESSAGE": message,
        "PRIORITY": str(_priority(record.levelno)),
        "SYSLOG_IDENTIFIER": "lesionmark",
        "LOGGER": record.name,
        "THREAD_NAME": record.threadName or "",
        **ours,
    }


def _priority(level: int) -> int:
    return next((number for least, number in _PRIORITIES.items() if level >= least), _DEBUG)


def _encode(fields: Mapping[str, str]) -> bytes:
    """NAME, its length in 64 bits little endian, value: a form that holds any text."""
    return b"".join(
        _encode_one(name, value.encode(errors="backslashreplace")) for name, value in fields.items()
    )


def _encode_one(name: str, value: bytes) -> bytes:
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
