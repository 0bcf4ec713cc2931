"""Every peer of the configuration: reached, willing to talk to us, and to take what it gets."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID
from pynetdicom import build_context

import plugin
from dicom_node.delivery import not_associated
from dicom_node.doctor.check import failed, passed
from dicom_node.errors import describe
from dicom_node.requestor import associate, tls_fault
from dicom_node.sop_classes import STORAGE_COMMITMENT, STUDY_ROOT_FIND, VERIFICATION
from dicom_node.statuses import SUCCESS
from dicom_node.transfer_syntaxes import NATIVE
from plugin import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pynetdicom.association import Association

    from dicom_node.config import Settings
    from dicom_node.config_tables import Destination
    from dicom_node.doctor.check import Check
    from dicom_node.requestor import Peer

#: Reasons of a permanent rejection by the service user (PS3.8 Table 9-21).
_CALLING_UNKNOWN, _CALLED_UNKNOWN = 3, 7
#: What a peer is asked for, by the value of `proof`.
_PROOF: Final = {"storage-commitment": STORAGE_COMMITMENT, "query": STUDY_ROOT_FIND}


def peers(settings: Settings) -> Iterator[Check]:
    """C-ECHO to each, and whether it accepts the SOP Classes that it will be asked for."""
    for destination in settings.destination:
        yield from _destination(destination, settings)
        if destination.proof != "none":
            whom = destination.asked(settings.delivery.timeout_s)
            wanted = {"proof": (str(_PROOF[destination.proof]),)}
            yield from _peer(f"proof peer of {destination.name}", whom, settings, wanted)
    if settings.completion.query is not None:
        asked = {"C-FIND": (str(STUDY_ROOT_FIND),)}
        yield from _peer("query peer", settings.completion.query, settings, asked)


def _destination(destination: Destination, settings: Settings) -> Iterator[Check]:
    try:
        made = plugin.produced(settings.plugin.model_dump())
    except ImportError:
        made = {}  # said elsewhere
    wanted = {kind.value: made.get(kind, ()) for kind in destination.objects}
    yield from _peer(f"destination {destination.name}", destination, settings, wanted)


def _peer(
    name: str, peer: Peer, settings: Settings, wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[Check]:
    """`wanted` are SOP Class UIDs by what they are for; one of each is enough."""
    fault = _unreachable(peer, settings.delivery.timeout_s)
    if fault is not None:
        yield failed(name, f"{_at(peer)}: {fault[0]}", fault[1])
        return
    classes = [VERIFICATION, *dict.fromkeys(uid for uids in wanted.values() for uid in uids)]
    association = associate(
        [build_context(uid, [*NATIVE]) for uid in classes],
        peer,
        settings.listener.ae_title,
        settings.delivery.timeout_s,
    )
    if not association.is_established:
        seen = f"{_at(peer)}: {not_associated(association).reason}"
        yield failed(name, seen, _advice(association, peer, settings.listener.ae_title))
        return
    yield _echo(name, peer, association)
    accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    association.release()
    yield from _accepts(name, peer, wanted, accepted)


def _unreachable(peer: Peer, timeout_s: float) -> tuple[str, str] | None:
    """Why there is no connection, and what to do; None when there is one."""
    try:
        socket.create_connection((peer.host, peer.port), timeout_s).close()
    except socket.gaierror:
        return "no host of that name is known", "correct the key host, or the name server"
    except ConnectionRefusedError:
        return "nobody listens there", "start the peer, or correct the keys host and port"
    except OSError as error:
        return describe(error), "see that the peer runs, and that no firewall is between"
    fault = tls_fault(peer, peer.tls, timeout_s) if peer.tls else None
    if fault is not None:
        return f"TLS: {fault}", "see that each side trusts the CA of the other's certificate"
    return None


def _advice(association: Association, peer: Peer, ours: str) -> str:
    """What to do about an association that is refused."""
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None and answer.result_source == 1:
        if answer.diagnostic == _CALLING_UNKNOWN:
            return f"make the AE title {ours} and our address known to the peer"
        if answer.diagnostic == _CALLED_UNKNOWN:
            return f"its AE title is not {peer.ae_title}: correct the key ae_title"
    if association.is_rejected:
        return f"see the log of the peer for why it rejects {ours}"
    return "see that a DICOM peer listens there, with TLS on both sides or on none"


def _echo(name: str, peer: Peer, association: Association) -> Check:
    if VERIFICATION not in {context.abstract_syntax for context in association.accepted_contexts}:
        return passed(name, f"{_at(peer)}: accepts the association, but offers no C-ECHO")
    status = association.send_c_echo().get("Status")
    if status != SUCCESS:
        seen = "no answer" if status is None else f"status 0x{status:04X}"
        return failed(name, f"{_at(peer)}: C-ECHO: {seen}", "see the log of the peer")
    return passed(name, f"{_at(peer)}: answers C-ECHO{' by TLS' if peer.tls else ''}")


def _accepts(
    name: str, peer: Peer, wanted: Mapping[str, tuple[str, ...]], accepted: set[str]
) -> Iterator[Check]:
    for what, uids in wanted.items():
        called = f"{name}, {what}"
        good = [uid for uid in uids if uid in accepted]
        if good:
            yield passed(called, f"accepts {', '.join(UID(uid).name for uid in good)}")
        elif uids:
            names = ", ".join(UID(uid).name for uid in uids)
            advice = f"let the peer at {_at(peer)} accept one of these SOP Classes"
            if what in set(Kind):
                advice += f", or take {what!r} out of its key objects"
            yield failed(called, f"accepts none of {names}", advice)


def _at(peer: Peer) -> str:
    return f"{peer.ae_title} at {peer.host}:{peer.port}"
