"""What we hold of what we have acknowledged, told truthfully (PS3.4 J.1)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_node.durable import sync_added
from dicom_node.statuses import FailureReason
from dicom_node.transactions import Report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dicom_node.spool import Spool


#: What pydicom raises when a power cut has left only the beginning of a file.
_TORN: Final = (InvalidDicomError, AttributeError, EOFError, ValueError, struct.error)


def judge(spool: Spool, instances: Mapping[str, str]) -> Report:
    """What we can answer for of some instances, given as SOP Class UID by SOP Instance UID.

    We hold what was acknowledged until retention deletes it, and not a moment longer: what was
    analysed, reported and deleted is no more held than what never came.
    """
    found = spool.find(instances)
    failed = {
        uid: reason
        for uid, sop_class_uid in instances.items()
        if (reason := _fault(found.get(uid), sop_class_uid))
    }
    return Report(tuple(uid for uid in instances if uid not in failed), failed)


def _fault(path: Path | None, sop_class_uid: str) -> FailureReason | None:
    """Why we cannot answer for an instance; None when it is durable (PS3.3 C.14.1.1)."""
    if path is None:
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    try:
        sync_added(path)  # another thread may have written it only just now
        is_other = str(read_file_meta_info(path).MediaStorageSOPClassUID) != sop_class_uid
    except FileNotFoundError:  # retention was quicker
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    except (*_TORN, OSError):
        return FailureReason.PROCESSING_FAILURE
    return FailureReason.CLASS_INSTANCE_CONFLICT if is_other else None
