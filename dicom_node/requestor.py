"""Associations that we request, as Service Class User."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom import AE
from pynetdicom.dimse import DIMSEServiceProvider

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext


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


class AnswersOnly(DIMSEServiceProvider):
    """Leaves each answer to the request that waits for it.

    The association's own thread looks, without waiting, for requests of the peer whenever
    none of ours is under way. On a busy machine it is late to notice that one is, takes the
    answer, finds that it is no request, and drops it; the sender then waits in vain until
    its timeout. A requestor that offers no role as SCP gets no requests, so nothing is
    missed by not looking.
    """

    def get_msg(self, block: bool = False) -> Any:
        """The next message when asked to wait for one; else nothing."""
        return super().get_msg(block) if block else (None, None)


def associate(
    contexts: Iterable[PresentationContext], peer: Peer, calling_ae_title: str, timeout_s: float
) -> Association:
    """Request an association; look at `is_established` for whether there is one."""
    entity = AE(calling_ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout_s
    entity.connection_timeout = timeout_s
    entity.requested_contexts = list(contexts)
    association = entity.associate(peer.host, peer.port, ae_title=peer.ae_title)
    association.dimse = AnswersOnly(association)
    return association
