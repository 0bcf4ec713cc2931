"""The application entity: policies of associations, presentation contexts, addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom import AE

from dicom_node.admission import Rejection
from dicom_node.conformance.markdown import bullets, section, table
from dicom_node.conformance.subject import REPORT
from dicom_node.sop_classes import STORAGE_COMMITMENT
from dicom_node.transfer_syntaxes import FOR_IMAGES, NATIVE, TRANSFER_SYNTAXES
from plugin.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pynetdicom.presentation import PresentationContext

    from dicom_node.conformance.subject import Subject

#: Largest PDU received on associations that we request, bytes; pynetdicom's own.
_REQUESTED_PDU = AE("LESIONMARK").maximum_pdu_size
#: Numbers of result and source in words (PS3.8 Table 9-21).
_RESULT = {1: "permanent", 2: "transient"}
_SOURCE = {1: "service user", 2: "service provider (ACSE)", 3: "service provider (presentation)"}
#: When each rejection is given.
_WHEN = {
    Rejection.CALLING_AE_TITLE: "the calling AE title may not send from that address",
    Rejection.CALLED_AE_TITLE: "the called AE title is not ours",
    Rejection.CONGESTION: "the disk is under its reserve",
    Rejection.LIMIT: "too many associations are open, in all or from that address",
}


def network(subject: Subject) -> str:
    """The chapter on the application entity."""
    return "\n\n".join(
        (
            section(2, "3 Application entity", _one(subject)),
            section(3, "3.1 Association policies", _policies(subject)),
            section(3, "3.2 Associations that are accepted", _acceptance(subject)),
            section(3, "3.3 Associations that are requested", *_initiation(subject)),
            section(3, "3.4 Lists of transfer syntaxes", *_syntax_lists()),
        )
    )


def _one(subject: Subject) -> str:
    return (
        f"There is one application entity, `{subject.settings.listener.ae_title}`. It accepts and "
        "requests associations under this AE title."
    )


def _policies(subject: Subject) -> str:
    listener, delivery = subject.settings.listener, subject.settings.delivery
    rows = (
        ("Application Context Name", "1.2.840.10008.3.1.1.1"),
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        (
            "Largest PDU received",
            f"{listener.max_pdu_bytes} bytes ({_REQUESTED_PDU} when we request)",
        ),
        ("Asynchronous operations", "none: one outstanding operation"),
        ("Associations accepted at the same time", listener.max_associations),
        ("of them from one address", listener.max_associations_per_address),
        ("Associations requested at the same time", f"{delivery.parallel} for each destination"),
        (
            "SCP/SCU role selection",
            "accepted for storage commitment; proposed for C-GET and to report on commitment",
        ),
        ("SOP Class Extended Negotiation, User Identity", "not used"),
    )
    return table(("Parameter", "Value"), rows)


def _acceptance(subject: Subject) -> str:
    rejections = ((*_words(rejection), _WHEN[rejection]) for rejection in Rejection)
    syntaxes = table(
        ("Abstract syntax", "UID", "Transfer syntaxes", "Role of the requestor"),
        sorted(_accepted(subject)),
    )
    return "\n\n".join(
        (
            "Senders are known by calling AE title and address; the called AE title is compared. "
            "In each presentation context the first transfer syntax of ours that is proposed is "
            "accepted, Explicit VR Little Endian before all others. Rejections:",
            table(("Result", "Source", "Reason", "When"), rejections),
            "Nothing else is accepted than:",
            syntaxes,
        )
    )


def _words(rejection: Rejection) -> tuple[str, str, str]:
    result, source, reason = rejection.value
    return _RESULT[result], _SOURCE[source], f"{reason} {rejection.name.lower().replace('_', ' ')}"


def _accepted(subject: Subject) -> Iterator[tuple[str, str, str, str]]:
    storage = f"each storage class that 1.1 calls analysed or kept ({len(subject.storage)})"
    yield storage, "see 1.1", _list_name(TRANSFER_SYNTAXES), "SCU"
    for context in subject.accepted:
        uid = UID(str(context.abstract_syntax))
        if uid in subject.storage:
            continue
        role = "SCU"
        if uid == STORAGE_COMMITMENT:
            role = " or ".join(
                name
                for name, allowed in (("SCU", context.scu_role), ("SCP", context.scp_role))
                if allowed
            )
        yield uid.name, str(uid), _list_name(context.transfer_syntax), role


def _initiation(subject: Subject) -> Iterator[str]:
    yield (
        "Associations are requested to send objects, to ask for proof that they are kept, to ask "
        "how many instances a series has, to fetch studies for a harvest, and to report to senders "
        "that asked for storage commitment. To send, each "
        "object is proposed in its own transfer syntax (Explicit VR Little Endian) and, in a "
        "context of its own, in Implicit VR Little Endian. A report is proposed in each of its "
        "SOP Classes, and sent in the first of them that is accepted:"
    )
    rows = [
        (kind.value, UID(uid).name, uid, "SCU")
        for kind, uids in subject.made.items()
        for uid in uids
    ]
    yield table(("Kind of object", "SOP Class, best first", "UID", "Role"), rows)
    yield table(
        ("To", "Abstract syntax", "Transfer syntaxes", "Role"),
        (
            (what, UID(str(context.abstract_syntax)).name, syntaxes, role)
            for what, contexts in subject.proposed()
            for context, syntaxes, role in _grouped(what, contexts)
        ),
    )
    yield "Destinations of this configuration:"
    yield table(
        ("Destination", "AE title", "Objects", "Proof", "TLS"),
        (
            (d.name, d.ae_title, ", ".join(d.objects), d.proof, "yes" if d.tls else "no")
            for d in subject.settings.destination
        ),
    )


def _grouped(
    what: str, contexts: Sequence[PresentationContext]
) -> Iterator[tuple[PresentationContext, str, str]]:
    """One line for each abstract syntax, with all transfer syntaxes proposed for it."""
    by_class: dict[str, list[PresentationContext]] = {}
    for context in contexts:
        by_class.setdefault(str(context.abstract_syntax), []).append(context)
    for number, same in enumerate(by_class.values()):
        syntaxes = [syntax for context in same for syntax in context.transfer_syntax]
        role = "SCP" if what == REPORT or (what == "C-GET" and number) else "SCU"
        alone = ", each in a context of its own" if len(same) > 1 else ""
        yield same[0], _list_name(syntaxes) + alone, role


def _list_name(syntaxes: Sequence[str]) -> str:
    """The name of a list below, or the names of the syntaxes."""
    for name, known in (("A", TRANSFER_SYNTAXES), ("B", FOR_IMAGES), ("C", NATIVE)):
        if set(map(str, syntaxes)) == set(map(str, known)):
            return f"list {name}"
    return ", ".join(UID(syntax).name for syntax in syntaxes)


def _syntax_lists() -> Iterator[str]:
    for name, syntaxes in (("A", TRANSFER_SYNTAXES), ("B", FOR_IMAGES), ("C", NATIVE)):
        yield f"List {name}:\n\n" + bullets(f"{UID(syntax).name} ({syntax})" for syntax in syntaxes)
