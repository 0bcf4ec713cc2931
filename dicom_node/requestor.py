"""Associations that we request, as Service Class User."""

from __future__ import annotations

import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom import AE, build_role, evt
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu import A_ASSOCIATE_RJ

from dicom_node import tls
from plugin.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pynetdicom.association import Association
    from pynetdicom.events import Event, EventHandlerType
    from pynetdicom.presentation import PresentationContext

    from dicom_node.config_tables import PeerTls

log = logging.getLogger(__name__)


class Peer(Protocol):
    """Whom to talk to: part of the configuration, or what a command line names."""

    @property
    def host(self) -> str:
        """Host name or address."""
        ...

    @property
    def port(self) -> int:
        """TCP port."""
        ...

    @property
    def ae_title(self) -> str:
        """Called AE title."""
        ...

    @property
    def tls(self) -> PeerTls | None:
        """How to show ourselves by TLS; None for an open connection."""
        ...


class AnswersOnly(DIMSEServiceProvider):
    """Leaves each answer to the request that waits for it.

    The association's own thread looks, without waiting, for requests of the peer whenever
    none of ours is under way. On a busy machine it is late to notice that one is, takes the
    answer, finds that it is no request, and drops it; the sender then waits in vain until
    its timeout. Of requests a requestor gets none but N-EVENT-REPORT, which pynetdicom
    serves on another way, so nothing is missed by not looking.
    """

    def get_msg(self, block: bool = False) -> Any:
        """The next message when asked to wait for one; else nothing."""
        return super().get_msg(block) if block else (None, None)


def associate(
    contexts: Iterable[PresentationContext],
    peer: Peer,
    calling_ae_title: str,
    timeout_s: float,
    handlers: Iterable[EventHandlerType] = (),
    stores: Iterable[str] = (),
) -> Association:
    """Request an association; look at `is_established` for whether there is one.

    `handlers` are for what the peer requests on it in turn; of the SOP Classes in `stores`
    we then are the SCP (PS3.7 D.3.3.4).
    """
    entity = AE(calling_ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout_s
    entity.connection_timeout = timeout_s
    entity.requested_contexts = list(contexts)
    # pynetdicom hands the host on to the check of the certificate, where that is wanted.
    tls_args = (tls.client_context(peer.tls), peer.host) if peer.tls else None
    rejections: list[A_ASSOCIATE_RJ] = []
    association = entity.associate(
        peer.host,
        peer.port,
        ae_title=peer.ae_title,
        tls_args=tls_args,
        ext_neg=[build_role(sop_class, scp_role=True) for sop_class in stores],
        evt_handlers=[(evt.EVT_PDU_RECV, partial(_note_rejection, rejections)), *handlers],
    )
    association.dimse = AnswersOnly(association)
    for rejection in rejections:
        # pynetdicom takes one that comes at once for a failure to connect, and aborts.
        association.is_rejected, association.is_aborted = True, False
        association.acceptor.primitive = rejection.to_primitive()
    if peer.tls is not None and association.is_aborted:
        fault = tls_fault(peer, peer.tls, timeout_s)
        if fault:
            log.warning("LM305 TLS with %s:%d: %s", peer.host, peer.port, fault)
    return association


def _note_rejection(rejections: list[A_ASSOCIATE_RJ], event: Event) -> None:
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def tls_fault(peer: Peer, settings: PeerTls, timeout_s: float) -> str | None:
    """Why TLS fails, which pynetdicom keeps to itself: by shaking hands once more."""
    context = tls.client_context(settings)
    try:
        with (
            socket.create_connection((peer.host, peer.port), timeout_s) as connection,
            context.wrap_socket(connection, server_hostname=peer.host) as secured,
        ):
            # By TLS 1.3 a server looks at our certificate only after the handshake.
            secured.recv(1)
    except OSError as error:
        return str(error)
    return None
