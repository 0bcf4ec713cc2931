"""What all objects of one analysis share: UIDs, patient, equipment and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin.report import equipment, identity, images
from plugin.uids import derive

if TYPE_CHECKING:
    from datetime import datetime

    from pydicom import Dataset
    from pydicom.uid import UID

    from plugin.volume import Volume


#: When an object was made; all its other dates are the patient's and the study's.
CREATION_DATES = (
    "ContentDate",
    "DateOfSecondaryCapture",
    "InstanceCreationDate",
    "PresentationCreationDate",
)
CREATION_TIMES = (
    "ContentTime",
    "InstanceCreationTime",
    "PresentationCreationTime",
    "TimeOfSecondaryCapture",
)


def instance_uid(volume: Volume, model: str, *kind: str) -> UID:
    """SOP Instance UID of an object of this kind on these instances by this model."""
    analysed = sorted({str(header.SOPInstanceUID) for header in volume.headers})
    return derive(*kind, _analysed_series(volume), *analysed, model)


def series_uid(volume: Volume, model: str, kind: str) -> UID:
    """Series Instance UID of all objects of this kind by this model, revisions included."""
    return derive(kind, _analysed_series(volume), model)


def series_number(volume: Volume, offset: int) -> int:
    """Series Number of the images plus `offset`, which is out of the range of scanners."""
    return offset + max(0, int(images.first_header(volume).get("SeriesNumber") or 0))


def complete(document: Dataset, volume: Volume, model: str, now: datetime) -> None:
    """Say whose it is, who made it and when, in the words of the images and of the caller.

    Replaces what highdicom took from its arguments and from the clock.
    """
    identity.copy(images.first_header(volume), document)
    equipment.describe(document, equipment.model_of(model), now)
    for keyword in CREATION_DATES:
        if keyword in document:
            setattr(document, keyword, now.strftime("%Y%m%d"))
    for keyword in CREATION_TIMES:
        if keyword in document:
            setattr(document, keyword, now.strftime("%H%M%S.%f"))


def _analysed_series(volume: Volume) -> str:
    return str(images.first_header(volume).SeriesInstanceUID)
