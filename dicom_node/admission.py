"""Who may associate, and why not (PS3.8 9.3.4).

A connection is judged twice: by its address, before a byte of it is read; and by what its
A-ASSOCIATE-RQ says, before anything is negotiated. What may pass by itself is a transient
rejection, so that a sender tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Address

    from dicom_node.config_tables import Listener
    from dicom_node.live import Live


class Rejection(Enum):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    #: Permanent, by the service user: nobody of that calling AE title may send from there.
    CALLING_AE_TITLE = (1, 1, 3)
    #: Permanent, by the service user: that is not our AE title.
    CALLED_AE_TITLE = (1, 1, 7)
    #: Transient, by the service provider: temporary congestion.
    CONGESTION = (2, 3, 1)
    #: Transient, by the service provider: local limit exceeded.
    LIMIT = (2, 3, 2)


@dataclass(frozen=True)
class Refusal:
    """A rejection, and its reason for the person who runs the node."""

    #: What the requestor is told.
    rejection: Rejection
    #: In words, naming the key of the configuration.
    reason: str


@dataclass(frozen=True)
class Request:
    """An association request, as far as its admission depends on it."""

    #: AE title of the requestor.
    calling: str
    #: AE title that the requestor thinks is ours.
    called: str
    #: IP address of the requestor.
    address: str
    #: Associations that are open from the same address.
    open_from_address: int


class Admission:
    """Closed by default: a title at an address is let in, nothing else."""

    def __init__(self, live: Live[Listener], is_full: Callable[[], bool]) -> None:
        """`is_full` says whether the disk is under its reserve."""
        self._live = live
        self._is_full = is_full

    def knows(self, address: str) -> bool:
        """Whether some sender may send from that address."""
        peer = _normal(address)
        return any(peer in network for s in self._settings.sender for network in s.addresses)

    def judge(self, request: Request) -> Refusal | None:
        """Why an association is refused, or None when it is welcome."""
        return self._judge_titles(request) or self._judge_load(request)

    @property
    def _settings(self) -> Listener:
        return self._live.now

    def _judge_titles(self, request: Request) -> Refusal | None:
        if request.called != self._settings.ae_title:
            reason = f"it calls {request.called!r}, which is not listener.ae_title"
            return Refusal(Rejection.CALLED_AE_TITLE, reason)
        named = [s for s in self._settings.sender if s.ae_title == request.calling]
        if not named:
            return Refusal(Rejection.CALLING_AE_TITLE, "no listener.sender has that AE title")
        peer = _normal(request.address)
        if not any(peer in network for sender in named for network in sender.addresses):
            reason = "the address is not among the addresses of that listener.sender"
            return Refusal(Rejection.CALLING_AE_TITLE, reason)
        return None

    def _judge_load(self, request: Request) -> Refusal | None:
        limit = self._settings.max_associations_per_address
        if request.open_from_address >= limit:
            reason = f"{limit} associations are open from there (max_associations_per_address)"
            return Refusal(Rejection.LIMIT, reason)
        if self._is_full():
            return Refusal(Rejection.CONGESTION, "the disk is under listener.disk_reserve_mb")
        return None


def _normal(address: str) -> IPv4Address | IPv6Address:
    """The address; IPv4 behind an IPv6 socket (RFC 4291 2.5.5.2) as what it is."""
    peer = ip_address(address.partition("%")[0])
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    return mapped or peer
