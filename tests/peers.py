"""Associations asked for in ways in which a well-behaved requestor does not ask."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ

from deploy.processes import LOOPBACK
from dicom_node.sop_classes import VERIFICATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.association import Association
    from pynetdicom.events import Event


def associate(
    port: int, calling: str, *, called: str = "LESIONMARK", source: str = LOOPBACK
) -> Association:
    """Request an association for C-ECHO and CT from an address of this machine."""
    return _associate(port, calling, called, source, [])


def _associate(
    port: int, calling: str, called: str, source: str, rejections: list[A_ASSOCIATE_RJ]
) -> Association:
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = 10
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)

    def note(event: Event) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append(event.pdu)

    return entity.associate(
        LOOPBACK,
        port,
        ae_title=called,
        bind_address=(source, 0),
        evt_handlers=[(evt.EVT_PDU_RECV, note)],
    )


def answer_to(
    port: int, calling: str, *, called: str = "LESIONMARK", source: str = LOOPBACK
) -> tuple[int, int, int] | None:
    """Result, source and reason of the rejection (PS3.8 Table 9-21); None when accepted."""
    # Not the association is asked: pynetdicom takes a quick rejection for no connection.
    rejections: list[A_ASSOCIATE_RJ] = []
    association = _associate(port, calling, called, source, rejections)
    if association.is_established:
        association.release()
        return None
    [answer] = rejections
    return answer.result, answer.source, answer.reason_diagnostic


@contextmanager
def silent(port: int, count: int, first_words: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that say these words and then nothing more."""
    connections = [socket.create_connection((LOOPBACK, port), timeout=10) for _ in range(count)]
    try:
        for connection in connections:
            connection.sendall(first_words)
        yield connections
    finally:
        for connection in connections:
            connection.close()


def hears_end(connection: socket.socket, within_s: float) -> bool:
    """Whether the other side closes the connection in time; what it says before is skipped."""
    connection.settimeout(within_s)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True
