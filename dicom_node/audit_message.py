"""Audit messages in XML, by the schema and the tables of PS3.15 A.5."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from dicom_node.transfers import Transfer

#: What XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Code:
    """A coded value (PS3.16)."""

    #: Code Value.
    value: str
    #: Coding Scheme Designator.
    scheme: str
    #: Code Meaning.
    meaning: str


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


class EventId(Enum):
    """What has happened (PS3.16 CID 400)."""

    APPLICATION_ACTIVITY = _dcm("110100", "Application Activity")
    BEGIN_TRANSFERRING = _dcm("110102", "Begin Transferring DICOM Instances")
    INSTANCES_ACCESSED = _dcm("110103", "DICOM Instances Accessed")
    INSTANCES_TRANSFERRED = _dcm("110104", "DICOM Instances Transferred")
    QUERY = _dcm("110112", "Query")
    SECURITY_ALERT = _dcm("110113", "Security Alert")


class EventType(Enum):
    """What kind of it (PS3.16 CID 401 and 403)."""

    APPLICATION_START = _dcm("110120", "Application Start")
    APPLICATION_STOP = _dcm("110121", "Application Stop")
    NODE_AUTHENTICATION = _dcm("110126", "Node Authentication")


class Action(Enum):
    """EventActionCode."""

    CREATE = "C"
    READ = "R"
    EXECUTE = "E"


class Outcome(Enum):
    """EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"


class Role(Enum):
    """What a participant is in the event (PS3.16 CID 402)."""

    APPLICATION = _dcm("110150", "Application")
    DESTINATION = _dcm("110152", "Destination Role ID")
    SOURCE = _dcm("110153", "Source Role ID")


_STUDY = _dcm("110180", "Study Instance UID")
_SOP_CLASS = _dcm("110181", "SOP Class UID")
_NODE = _dcm("110182", "Node ID")
_PATIENT = Code("2", "RFC-3881", "Patient Number")


@dataclass(frozen=True)
class Event:
    """What happened and how it ended."""

    #: Which of the tables of PS3.15 A.5.3 the message follows.
    id: EventId
    #: What was done to the objects.
    action: Action
    #: When, with its time zone.
    at: datetime
    #: How it ended.
    outcome: Outcome = Outcome.SUCCESS
    #: Where the table asks for one.
    type: EventType | None = None


@dataclass(frozen=True)
class Participant:
    """A node or process that took part."""

    #: AE title, or the name of a process.
    user_id: str
    #: IP address or host name; empty when unknown.
    address: str = ""
    #: Whether it began the exchange.
    is_requestor: bool = False
    #: Its part.
    role: Role | None = None


@dataclass(frozen=True)
class Object:
    """What it was about."""

    #: The name of the object.
    id: str
    #: What kind of name that is.
    id_type: Code
    #: 1 person, 2 system object (PS3.15 A.5.1).
    type_code: str
    #: 1 patient, 3 report, 13 security resource (PS3.15 A.5.1.2.2).
    role: str
    #: Number of instances of each SOP Class UID, where it is a study.
    sop_classes: tuple[tuple[str, int], ...] = ()
    #: Encoded identifier of a query.
    query: bytes | None = None
    #: More facts, by their names.
    details: tuple[tuple[str, str], ...] = ()


def study_and_patient(transfer: Transfer) -> tuple[Object, Object]:
    """The two objects of a transfer (PS3.15 Tables A.5.3.3-1 and A.5.3.7-1)."""
    classes = tuple(sorted(transfer.sop_classes.items()))
    return (
        Object(transfer.study_uid, _STUDY, "2", "3", sop_classes=classes),
        Object(transfer.patient_id, _PATIENT, "1", "1"),
    )


def queried(sop_class_uid: str, identifier: bytes, transfer_syntax_uid: str) -> Object:
    """The object of a query (PS3.15 Table A.5.3.10-1)."""
    details = (("TransferSyntax", transfer_syntax_uid),)
    return Object(sop_class_uid, _SOP_CLASS, "2", "3", query=identifier, details=details)


def alert_subject(address: str, description: str) -> Object:
    """The node that a security alert is about (PS3.15 Table A.5.3.11-1)."""
    details = (("Alert Description", description),)
    return Object(address, _NODE, "2", "13", details=details)


def encode(
    event: Event, participants: Iterable[Participant], source_id: str, objects: Iterable[Object]
) -> bytes:
    """One message in UTF-8, on one line. `source_id` names the system that reports."""
    message = Element("AuditMessage")
    _add_event(message, event)
    for participant in participants:
        _add_participant(message, participant)
    source = SubElement(message, "AuditSourceIdentification", AuditSourceID=_clean(source_id))
    SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # application server process
    for item in objects:
        _add_object(message, item)
    encoded: bytes = tostring(message, encoding="utf-8", xml_declaration=True)
    return encoded.replace(b"\n", b" ")


def _add_event(message: Element, event: Event) -> None:
    element = SubElement(
        message,
        "EventIdentification",
        EventActionCode=event.action.value,
        EventDateTime=event.at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=event.outcome.value,
    )
    _add_code(element, "EventID", event.id.value)
    if event.type is not None:
        _add_code(element, "EventTypeCode", event.type.value)


def _add_participant(message: Element, participant: Participant) -> None:
    element = SubElement(
        message,
        "ActiveParticipant",
        UserID=_clean(participant.user_id),
        UserIsRequestor=str(participant.is_requestor).lower(),
    )
    if participant.address:
        element.set("NetworkAccessPointID", _clean(participant.address))
        is_ip = re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:.]*:.*", participant.address)
        element.set("NetworkAccessPointTypeCode", "2" if is_ip else "1")
    if participant.role is not None:
        _add_code(element, "RoleIDCode", participant.role.value)


def _add_object(message: Element, item: Object) -> None:
    element = SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_clean(item.id),
        ParticipantObjectTypeCode=item.type_code,
        ParticipantObjectTypeCodeRole=item.role,
    )
    _add_code(element, "ParticipantObjectIDTypeCode", item.id_type)
    if item.query is None:
        # The schema wants one; a patient's name is left out, because nothing needs it.
        SubElement(element, "ParticipantObjectName")
    else:
        SubElement(element, "ParticipantObjectQuery").text = _base64(item.query)
    for name, value in item.details:
        encoded = _base64(value.encode())
        SubElement(element, "ParticipantObjectDetail", type=name, value=encoded)
    if item.sop_classes:
        _add_classes(element, item.sop_classes)


def _add_classes(element: Element, sop_classes: Iterable[tuple[str, int]]) -> None:
    description = SubElement(element, "ParticipantObjectDescription")
    for uid, count in sop_classes:
        SubElement(description, "SOPClass", UID=uid, NumberOfInstances=str(count))


def _add_code(parent: Element, name: str, code: Code) -> None:
    attributes = {
        "csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning
    }  # fmt: skip
    SubElement(parent, name, attributes)


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
