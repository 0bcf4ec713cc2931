"""C-STORE response statuses by their names in PS3.4 Table B.2-1 and PS3.7 Annex C."""

from enum import IntEnum

SUCCESS = 0x0000


class StoreStatus(IntEnum):
    """What this node answers to a C-STORE request (PS3.4 B.2.3)."""

    #: The instance is on disk, its name too.
    SUCCESS = SUCCESS
    #: The SOP Class is not one this node stores.
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    #: The disk is under its reserve or the bytes could not be written.
    OUT_OF_RESOURCES = 0xA700
    #: The data set is not what the request announced.
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    #: The bytes cannot be read as a data set; they are quarantined.
    CANNOT_UNDERSTAND = 0xC000


#: PS3.7 C.5.7: the peer holds this SOP Instance already, which is what we want.
DUPLICATE_SOP_INSTANCE = 0x0111

#: PS3.7 C.5: failures that another try cannot mend, because they are about the object itself.
_PERMANENT = {
    0x0117,  # Invalid SOP Instance
    0x0118,  # No Such SOP Class
    0x0122,  # SOP Class Not Supported
    0x0124,  # Not Authorized
}


def is_kept(status: int) -> bool:
    """Whether a peer that answers `status` now holds the instance (PS3.4 B.2.3).

    Warnings (0xBxxx) store the instance, if with changes.
    """
    return status in (SUCCESS, DUPLICATE_SOP_INSTANCE) or status & 0xF000 == 0xB000


def is_permanent(status: int) -> bool:
    """Whether a failure status is about the object, so that sending it again is useless.

    0xA9xx (data set does not match) and 0xCxxx (cannot understand) are; 0xA7xx (out of
    resources), 0x0110 (processing failure) and 0x0213 (resource limitation) may pass.
    """
    return status in _PERMANENT or status & 0xFF00 == 0xA900 or status & 0xF000 == 0xC000
