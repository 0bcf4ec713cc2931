"""The overview: services and SOP Classes by role, and the model of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import UID

from dicom_node.conformance.markdown import bullets, section, table
from dicom_node.conformance.subject import sop_class_name
from dicom_node.retrieval import IMAGES, OBJECTS
from dicom_node.sop_classes import (
    STORAGE_COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.subject import Subject

_NOTICE = (
    "This file is written by `lesionmark conformance` from the configuration and from the code; "
    "for yours run that command with your configuration. Research use only, not for clinical "
    "decisions."
)
_WHAT = (
    "lesionmark is a DICOM node. It takes CT series by C-STORE, finds and measures lesions, and "
    "sends a structured report (PS3.16 TID 1500), and if wanted further objects, to one or several "
    "archives. It has no user interface for images, no media services and no DICOMweb services."
)
_FLOW = (
    "A sender requests an association and stores the instances of a series, each of which is on "
    "disk before Success is answered.",
    "When the series is whole (the sender's own count by C-FIND where it can be asked, else a "
    "quiet period after the association), it is analysed once.",
    "The objects are sent to each destination by C-STORE and, where a destination fails, again and "
    "again for a configured time; a destination is then asked for storage commitment, or queried, "
    "where that is configured.",
    "Instances that come late make a new report, which names the one before in its Predecessor "
    "Documents Sequence.",
)


def overview(subject: Subject) -> str:
    """The first two chapters."""
    version = f"Version: {subject.release}."
    head = ("SOP Class", "UID", "SCU", "SCP")
    return "\n\n".join(
        (
            section(1, "DICOM conformance statement of lesionmark", _NOTICE),
            section(2, "1 Overview", version, _WHAT),
            section(3, "1.1 Network services", table(head, _services(subject))),
            section(3, "1.2 Media services", "None."),
            section(2, "2 Implementation model", bullets(_FLOW)),
        )
    )


def _services(subject: Subject) -> Iterator[tuple[str, str, str, str]]:
    yield _service(VERIFICATION, "yes", "yes")
    made = {uid for uids in subject.made.values() for uid in uids}
    fetched = {str(uid) for uid in (*IMAGES, *OBJECTS)}
    for uid in sorted(subject.storage | made, key=sop_class_name):
        taken = "analysed" if uid in subject.analysed else "kept" if uid in subject.storage else "-"
        if uid in fetched:
            taken += ", and in C-GET" if taken != "-" else "in C-GET"
        yield _service(UID(uid), "yes" if uid in made else "-", taken)
    yield _service(STORAGE_COMMITMENT, "yes", "yes")
    for model in (STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE):
        yield _service(model, "yes", "-")


def _service(uid: UID, scu: str, scp: str) -> tuple[str, str, str, str]:
    return sop_class_name(uid), str(uid), scu, scp
