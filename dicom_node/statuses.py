"""Statuses and failure reasons by their names in PS3.3, PS3.4 and PS3.7."""

from enum import IntEnum

SUCCESS = 0x0000


class StoreStatus(IntEnum):
    """What this node answers to a C-STORE request (PS3.4 B.2.3)."""

    #: The instance is on disk, its name too.
    SUCCESS = SUCCESS
    #: A fault of this node that nobody foresaw; the log has it (PS3.7 C.5.18).
    PROCESSING_FAILURE = 0x0110
    #: The disk is under its reserve or the bytes could not be written.
    OUT_OF_RESOURCES = 0xA700
    #: The data set is not what the request announced.
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    #: Nobody has asked for this instance, or not from that peer (PS3.7 C.5.15).
    NOT_AUTHORIZED = 0x0124
    #: A UID is against the rules for UIDs (PS3.7 C.5.10).
    INVALID_SOP_INSTANCE = 0x0117
    #: The bytes cannot be read as a data set; they are quarantined.
    CANNOT_UNDERSTAND = 0xC000
    #: As sent, inflated or decoded it is larger than this node is configured to take.
    INSTANCE_TOO_LARGE = 0xC001


#: PS3.7 C.5.7: the peer holds this SOP Instance already, which is what we want.
DUPLICATE_SOP_INSTANCE = 0x0111

#: PS3.7 C.5.19: the object itself is wrong, which another try cannot mend.
_INVALID_SOP_INSTANCE = 0x0117

#: PS3.7 C.5: the peer is set up not to take such objects, or none of ours.
_BY_SETTING = {
    0x0118,  # No Such SOP Class
    0x0122,  # SOP Class Not Supported
    0x0124,  # Not Authorized
}


def is_acknowledged(status: int) -> bool:
    """Whether a peer that answers `status` now holds the instance (PS3.4 B.2.3).

    Warnings (0xBxxx) store the instance, if with changes.
    """
    return status in (SUCCESS, DUPLICATE_SOP_INSTANCE) or status & 0xF000 == 0xB000


def is_permanent(status: int) -> bool:
    """Whether a failure status is about the object, so that sending it again is useless.

    0xA9xx (data set does not match) and 0xCxxx (cannot understand) are; 0xA7xx (out of
    resources), 0x0110 (processing failure) and 0x0213 (resource limitation) may pass.
    """
    return status == _INVALID_SOP_INSTANCE or status & 0xFF00 == 0xA900 or status & 0xF000 == 0xC000


def is_by_setting(status: int) -> bool:
    """Whether a failure status is about how the peer is set up, which a person may change."""
    return status in _BY_SETTING


class ActionStatus(IntEnum):
    """What may be answered to an N-ACTION request (PS3.7 10.1.4.1.10)."""

    #: The request was taken.
    SUCCESS = SUCCESS
    #: The well-known instance does not exist there.
    NO_SUCH_SOP_INSTANCE = 0x0112
    #: The request is malformed.
    INVALID_ARGUMENT_VALUE = 0x0115
    #: The SOP Class does not exist there.
    NO_SUCH_SOP_CLASS = 0x0118
    #: The action type does not exist there.
    NO_SUCH_ACTION = 0x0123
    #: We may not ask.
    NOT_AUTHORIZED = 0x0124
    #: A failure reason by PS3.3 C.14.1.1, which some give as status.
    DUPLICATE_TRANSACTION_UID = 0x0131
    #: The peer does no N-ACTION.
    UNRECOGNIZED_OPERATION = 0x0211
    #: The request cannot be written down now.
    RESOURCE_LIMITATION = 0x0213


class EventStatus(IntEnum):
    """What may be answered to an N-EVENT-REPORT request (PS3.7 10.1.1.1.8)."""

    #: The report is on disk.
    SUCCESS = SUCCESS
    #: The service has no such event.
    NO_SUCH_EVENT_TYPE = 0x0113
    #: The report is malformed, or about no transaction of ours.
    INVALID_ARGUMENT_VALUE = 0x0115
    #: The report cannot be kept now.
    RESOURCE_LIMITATION = 0x0213


class FailureReason(IntEnum):
    """Why a peer is not committed to an instance (PS3.3 C.14.1.1)."""

    #: A general failure; may pass.
    PROCESSING_FAILURE = 0x0110
    #: It does not hold the instance.
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    #: It holds an instance of another SOP Class under that UID.
    CLASS_INSTANCE_CONFLICT = 0x0119
    #: It commits to no instance of that SOP Class.
    REFERENCED_SOP_CLASS_NOT_SUPPORTED = 0x0122
    #: It knows the Transaction UID from another request.
    DUPLICATE_TRANSACTION_UID = 0x0131
    #: It is short of something; may pass.
    RESOURCE_LIMITATION = 0x0213


#: PS3.4 Table C.4-1: a C-FIND has more matches than the peer is willing to send: out of
#: resources, or cancelled, which Orthanc says though nobody has cancelled it.
FIND_CUT_OFF = (0xA700, 0xFE00)


class RetrieveStatus(IntEnum):
    """How a C-GET or C-MOVE ends or goes on (PS3.4 C.4.2.1.5 and C.4.3.1.4)."""

    #: Every instance was sent.
    SUCCESS = SUCCESS
    #: Sub-operations are continuing.
    PENDING = 0xFF00
    #: We have asked the peer to stop.
    CANCEL = 0xFE00
    #: One or more instances were not sent, or with a warning.
    SUB_OPERATIONS_COMPLETE_WITH_FAILURES = 0xB000
    #: Out of resources: it cannot count the matches.
    UNABLE_TO_CALCULATE_NUMBER_OF_MATCHES = 0xA701
    #: Out of resources: it cannot send; also what some answer when every instance failed.
    UNABLE_TO_PERFORM_SUB_OPERATIONS = 0xA702
    #: C-MOVE: it does not know our AE title as a destination.
    MOVE_DESTINATION_UNKNOWN = 0xA801
    #: What was asked for does not fit the information model.
    IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    #: It does not retrieve.
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    #: We may not ask.
    NOT_AUTHORIZED = 0x0124
    #: Any other failure of the peer, 0xC000 to 0xCFFF.
    UNABLE_TO_PROCESS = 0xC000


def retrieve_status_name(status: int) -> str:
    """A status of C-GET or C-MOVE for a person: its value, and its name in the standard."""
    known = RetrieveStatus.UNABLE_TO_PROCESS if status & 0xF000 == 0xC000 else status
    if known in set(RetrieveStatus):
        return f"0x{status:04X} {RetrieveStatus(known).name.lower().replace('_', ' ')}"
    return f"0x{status:04X}"
