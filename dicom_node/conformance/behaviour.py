"""What is answered, what is made of answers, and what happens when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_node.conformance.markdown import section, table
from dicom_node.statuses import (
    DUPLICATE_SOP_INSTANCE,
    ActionStatus,
    EventStatus,
    FailureReason,
    RetrieveStatus,
    StoreStatus,
    is_acknowledged,
    is_by_setting,
    is_permanent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import IntEnum

    from dicom_node.conformance.subject import Subject

#: When each status is answered to a C-STORE request.
STORE: Final = {
    StoreStatus.SUCCESS: "the instance is on disk, its name too; or it was there already",
    StoreStatus.PROCESSING_FAILURE: "a fault of the node that nobody foresaw",
    StoreStatus.OUT_OF_RESOURCES: "the disk is under its reserve, or cannot be written",
    StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS: "its UIDs differ from the request",
    StoreStatus.NOT_AUTHORIZED: "within C-GET or C-MOVE: nobody has asked for the instance",
    StoreStatus.INVALID_SOP_INSTANCE: "a UID breaks the rules for UIDs",
    StoreStatus.CANNOT_UNDERSTAND: "the bytes are no data set; they are quarantined",
    StoreStatus.INSTANCE_TOO_LARGE: "as sent or as decoded it is larger than configured",
}
#: When each status is answered to an N-ACTION request, and what it means to us in an answer.
ACTION: Final = {
    ActionStatus.SUCCESS: ("the request is on disk; a report follows", "asked"),
    ActionStatus.NO_SUCH_SOP_INSTANCE: ("not the well-known instance", "tried again, slowly"),
    ActionStatus.INVALID_ARGUMENT_VALUE: ("the request is malformed", "tried again"),
    ActionStatus.NO_SUCH_SOP_CLASS: ("not answered", "tried again, slowly"),
    ActionStatus.NO_SUCH_ACTION: ("another action than 1", "tried again, slowly"),
    ActionStatus.NOT_AUTHORIZED: ("not answered", "tried again, slowly"),
    ActionStatus.DUPLICATE_TRANSACTION_UID: ("not answered", "asked before; a report is awaited"),
    ActionStatus.UNRECOGNIZED_OPERATION: ("not answered", "tried again, slowly"),
    ActionStatus.RESOURCE_LIMITATION: ("the request cannot be written down now", "tried again"),
}
#: When each status is answered to an N-EVENT-REPORT request.
EVENT: Final = {
    EventStatus.SUCCESS: "the report is on disk",
    EventStatus.NO_SUCH_EVENT_TYPE: "another event than 1 or 2",
    EventStatus.INVALID_ARGUMENT_VALUE: "malformed, or about no transaction of ours",
    EventStatus.RESOURCE_LIMITATION: "the report cannot be kept now",
}
#: What is made of a status that ends C-FIND, C-GET or C-MOVE.
RETRIEVE: Final = {
    RetrieveStatus.SUCCESS: "all that was wanted has come",
    RetrieveStatus.PENDING: "the next response is awaited",
    RetrieveStatus.CANCEL: "ended because we asked for that",
    RetrieveStatus.SUB_OPERATIONS_COMPLETE_WITH_FAILURES: "what came is kept; the rest is named",
}


def behaviour(subject: Subject) -> str:
    """The chapters on statuses and on failures of communication."""
    return "\n\n".join(
        (
            section(2, "4 Status codes and behaviour"),
            section(3, "4.1 C-STORE, as SCP", _answers(STORE)),
            section(3, "4.2 C-STORE, as SCU", _store_scu()),
            section(3, "4.3 C-FIND, C-GET and C-MOVE, as SCU", _query(), _retrieve()),
            section(3, "4.4 Storage commitment", *_commitment(subject)),
            section(2, "5 Failures of communication", _failures(subject)),
        )
    )


def _name(status: IntEnum) -> str:
    return status.name.replace("_", " ").capitalize()


def _answers(known: dict[StoreStatus, str] | dict[EventStatus, str]) -> str:
    rows = ((f"0x{status:04X}", _name(status), when) for status, when in known.items())
    return table(("Status", "Name", "When it is answered"), rows)


def _store_scu() -> str:
    """What is made of each class of status; asked of the code that decides."""
    ranges = (
        ("0x0000", 0x0000),
        (f"0x{DUPLICATE_SOP_INSTANCE:04X} (duplicate SOP Instance)", DUPLICATE_SOP_INSTANCE),
        ("0xBxxx (warning)", 0xB000),
        ("0x0110 (processing failure)", 0x0110),
        ("0x0117 (invalid SOP Instance)", 0x0117),
        ("0x0118 (no such SOP Class)", 0x0118),
        ("0x0122 (SOP Class not supported)", 0x0122),
        ("0x0124 (not authorized)", 0x0124),
        ("0x0213 (resource limitation)", 0x0213),
        ("0xA7xx (out of resources)", 0xA700),
        ("0xA9xx (data set does not match SOP Class)", 0xA900),
        ("0xCxxx (cannot understand)", 0xC000),
    )
    return table(("Status", "Behaviour"), ((name, _made_of(status)) for name, status in ranges))


def _made_of(status: int) -> str:
    if is_acknowledged(status):
        return "the object counts as delivered"
    if is_permanent(status):
        return "the delivery fails, is shown, and waits for a person"
    if is_by_setting(status):
        return "tried again, slowly: a person must change the peer"
    return "tried again, with growing pauses"


def _query() -> str:
    return (
        "C-FIND uses the Study Root model: at SERIES level with Study and Series Instance UID and "
        "Number of Series Related Instances (0020,1209), at IMAGE level with Study, Series and SOP "
        "Instance UID; a harvest searches at STUDY and SERIES level as well. Any status but "
        "0xFF00, 0xFF01 and 0x0000 counts as no answer. Statuses of C-GET and C-MOVE:"
    )


def _retrieve() -> str:
    rows = (
        (f"0x{status:04X}", _name(status), RETRIEVE.get(status, "refused; the reason is named"))
        for status in RetrieveStatus
    )
    return table(("Status", "Name", "Behaviour"), rows)


def _commitment(subject: Subject) -> Iterator[str]:
    rows = ((f"0x{s:04X}", _name(s), scp, scu) for s, (scp, scu) in ACTION.items())
    yield table(("N-ACTION status", "Name", "As SCP, answered when", "As SCU, made of it"), rows)
    yield "N-EVENT-REPORT, in the role of the SCU:"
    yield _answers(EVENT)
    reasons = ((f"0x{reason:04X}", _name(reason)) for reason in FailureReason)
    yield "Failure Reasons (0008,1197) that are told apart:"
    yield table(("Reason", "Name"), reasons)
    yield (
        "As SCU the association of the request is held open for `proof.hold_s`, and a report is "
        "taken on it or on an association that the peer requests. As SCP the report is given on "
        "the association of the request while the sender waits there, else on one that we request."
    )
    yield (
        "The node is no archive. What it commits to it holds as long as the retention of the "
        f"configuration says ({subject.settings.retention.keep_h:g} h after every destination has "
        "the report, or after it came last where it is not analysed), and then deletes it without "
        "another word. A sender must not delete its own on the strength of this commitment."
    )


def _failures(subject: Subject) -> str:
    listener, delivery = subject.settings.listener, subject.settings.delivery
    rows = (
        ("No association request in time", f"closed after {listener.handshake_timeout_s:g} s"),
        ("Silence on an accepted association", f"aborted after {listener.idle_timeout_s:g} s"),
        ("A sender aborts", "what was answered with Success is kept; nothing else"),
        ("A peer does not answer us", f"given up after {delivery.timeout_s:g} s"),
        (
            "A delivery fails in a way that may pass",
            f"tried again after {delivery.first_retry_s:g} s, then after twice as long, up to "
            f"{delivery.longest_retry_s:g} s, for {delivery.give_up_after_h:g} h",
        ),
        ("The node is killed", "every step goes on where it was; UIDs of objects stay the same"),
    )
    return table(("Exception", "Behaviour"), rows)
