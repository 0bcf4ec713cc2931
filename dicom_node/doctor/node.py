"""The running node: whether the port is its own, and whether it lets us in."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from pynetdicom import build_context

from dicom_node.admission import Admission, Request
from dicom_node.config_tables import PeerTls
from dicom_node.delivery import not_associated
from dicom_node.doctor.check import failed, passed, skipped
from dicom_node.doctor.ports import holder
from dicom_node.live import fixed
from dicom_node.requestor import associate, tls_fault
from dicom_node.sop_classes import VERIFICATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.association import Association

    from dicom_node.config import Settings
    from dicom_node.doctor.check import Check

_NODE: Final = "node"
#: Seconds to wait for the node, which is on this machine.
_TIMEOUT_S: Final = 10.0
#: Reason of a permanent rejection by the service user (PS3.8 Table 9-21).
_CALLED_UNKNOWN: Final = 7
_TRANSIENT: Final = 2


@dataclass(frozen=True)
class Us:
    """The node as doctor sees it from its own machine; a peer to send to."""

    #: Address to connect to.
    host: str
    #: TCP port.
    port: int
    #: Called AE title.
    ae_title: str
    #: How doctor shows itself; None for an open connection.
    tls: PeerTls | None


def us(settings: Settings) -> Us:
    """The listener of the configuration."""
    listener = settings.listener
    return Us(address(listener.host), listener.port, listener.ae_title, _tls(settings))


def address(host: str) -> str:
    """Where to connect to what listens on `host`."""
    try:
        everywhere = ip_address(host).is_unspecified
    except ValueError:
        return host
    if not everywhere:
        return host
    return "::1" if ":" in host else "127.0.0.1"


def _tls(settings: Settings) -> PeerTls | None:
    listens = settings.listener.tls
    if listens is None or settings.doctor.tls is not None:
        return settings.doctor.tls if listens else None
    return PeerTls(
        certificate=listens.certificate, key=listens.key, ca=listens.ca, check_host=False
    )


def node(settings: Settings) -> Iterator[Check]:
    """Who has the port, and whether that is a node that lets doctor in."""
    whom = us(settings)
    port = f"port {whom.port}"
    try:
        connection = socket.create_connection((whom.host, whom.port), _TIMEOUT_S)
    except OSError:
        yield passed(port, f"free on {whom.host}")
        advice = "start it: systemctl start lesionmark; why it ended: journalctl -u lesionmark"
        yield failed(_NODE, "does not run: nobody listens on its port", advice)
        return
    ours = connection.getsockname()[0]
    connection.close()
    context = build_context(VERIFICATION)
    association = associate([context], whom, settings.doctor.ae_title, _TIMEOUT_S)
    if association.is_established:
        association.send_c_echo()
        association.release()
        yield passed(port, "the node's own")
        yield passed(_NODE, f"answers C-ECHO of {settings.doctor.ae_title} as {whom.ae_title}")
    else:
        yield from _refused(settings, whom, ours, association)


def _refused(settings: Settings, whom: Us, ours: str, association: Association) -> Iterator[Check]:
    port, answer = f"port {whom.port}", association.acceptor.primitive
    if answer is None or not _is_a_node(association):
        yield _taken(port, whom, association)
        yield skipped(_NODE, "cannot be reached")
        return
    yield passed(port, "a node answers there")
    seen = f"{not_associated(association).reason}"
    yield failed(_NODE, seen, _advice(settings, ours, is_transient=answer.result == _TRANSIENT))


def _is_a_node(association: Association) -> bool:
    """Whether what rejects us does so as a node of our AE title would."""
    answer = association.acceptor.primitive
    if not association.is_rejected or answer is None:
        return False
    return bool(answer.result == _TRANSIENT or answer.diagnostic != _CALLED_UNKNOWN)


def _taken(port: str, whom: Us, association: Association) -> Check:
    """Another program has our port, or TLS keeps us apart."""
    fault = tls_fault(whom, whom.tls, _TIMEOUT_S) if whom.tls else None
    if fault is not None:
        advice = "give doctor a certificate that listener.tls.ca has signed: table [doctor.tls]"
        return failed(port, f"TLS with what listens there fails: {fault}", advice)
    who = holder(whom.port)
    seen = f"taken by another program{f' ({who})' if who else ''}"
    seen += f": as {whom.ae_title}: {not_associated(association).reason}"
    return failed(port, seen, "stop that program, or choose another listener.port")


def _advice(settings: Settings, from_address: str, *, is_transient: bool) -> str:
    """What to do about a node that rejects us, by what its configuration should do."""
    if is_transient:
        return "it has no room now: see the disk above, or wait until others are done"
    ours = settings.doctor.ae_title
    request = Request(ours, settings.listener.ae_title, from_address, open_from_address=0)
    if Admission(fixed(settings.listener), lambda: False).judge(request) is None:
        return (
            "it runs with another configuration than this: systemctl reload-or-restart lesionmark"
        )
    return f"add [[listener.sender]] with ae_title = {ours!r} and addresses = [{from_address!r}]"
