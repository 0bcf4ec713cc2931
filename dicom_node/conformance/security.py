"""Security profiles and the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node import audit_message, tls
from dicom_node.conformance.markdown import bullets, section, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.subject import Subject


def security(subject: Subject) -> str:
    """The chapter on security."""
    return "\n\n".join(
        (
            section(2, "6 Security"),
            section(3, "6.1 Secure transport connection profile", _transport(subject)),
            section(3, "6.2 Association level security", _associations()),
            section(3, "6.3 Audit trail", _audit(subject)),
            section(3, "6.4 De-identification", *_harvest()),
        )
    )


def _transport(subject: Subject) -> str:
    used = ", ".join(name for name, _, _ in tls.uses(subject.settings)) or "none"
    return (
        "Non-downgrading BCP 195 TLS Secure Transport Connection Profile (PS3.15 B.12): TLS 1.2 or "
        "later, certificates on both sides, for associations accepted and requested. Cipher suites "
        "of TLS 1.2:\n\n"
        + bullets(tls.SUITES)
        + f"\n\nIn this configuration in use by: {used}. Storage of data at rest is not encrypted "
        "by the node."
    )


def _associations() -> str:
    return (
        "Calling AE title and address are checked against a list before anything is negotiated, "
        "called AE title too. The number of associations, the sizes of PDU, instance and decoded "
        "instance and the time for a handshake are bounded. User Identity is not negotiated."
    )


def _harvest() -> Iterator[str]:
    # Only here: it reads pixels, which no other subcommand of the node needs.
    from plugin.datasets.harvested.key_slice import METHODS

    yield (
        "Reports and further objects name the patient as the images do. A data set that "
        "`lesionmark harvest` makes is de-identified (PS3.15 Annex E): its instances are written "
        "anew, and hold nothing but attributes that are named one by one. Methods:"
    )
    yield table(("Code", "Meaning"), METHODS)


def _audit(subject: Subject) -> str:
    events = table(
        ("Event", "Code"),
        ((e.value.meaning, f"{e.value.value} {e.value.scheme}") for e in audit_message.EventId),
    )
    return (
        "Audit Trail Message Format (PS3.15 A.5), in this configuration to "
        f"`{subject.settings.audit.to}`; syslog (RFC 5424) by UDP, TCP or a local socket, or a "
        f"file. Events:\n\n{events}"
    )
