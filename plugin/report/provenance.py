"""What all objects of one analysis share: UIDs, series, patient, equipment and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugin.report import equipment, identity, images, text
from plugin.uids import derive

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

    from plugin.report.findings import Findings
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
#: Nobody has shown yet that it is fit for more (PS3.3 C.8.31.1 and others).
CONTENT_QUALIFICATION = "RESEARCH"
#: Content Label (0070,0080), a code string.
CONTENT_LABEL = "LESIONS"


@dataclass(frozen=True)
class ObjectSeries:
    """The series that all objects of one kind go into, revisions included."""

    #: Part of its UID; must never change.
    name: str
    #: The Series Number is that of the images plus this, out of the range of scanners.
    number_offset: int
    #: What is in it; the notice follows in the Series Description.
    title: str

    @property
    def description(self) -> str:
        """Series Description (0008,103E)."""
        return f"{self.title}. {text.RESEARCH_USE}"


def arguments(
    findings: Findings, series: ObjectSeries, *kind: str, number: int = 1
) -> dict[str, Any]:
    """What every constructor of highdicom asks for; `kind` tells one object from others."""
    return {
        "series_instance_uid": series_uid(findings, series),
        "series_number": series.number_offset + _series_number(findings.volume),
        "series_description": series.description,
        "sop_instance_uid": instance_uid(findings, *kind),
        "instance_number": number,
        "manufacturer": equipment.DEVICE_NAME,
        "content_qualification": CONTENT_QUALIFICATION,
    }


def content_arguments(findings: Findings) -> dict[str, Any]:
    """What constructors of objects with a content label ask for besides `arguments`."""
    model = equipment.model_of(findings.model)
    return {
        "manufacturer_model_name": model.name,
        "software_versions": model.version,
        "device_serial_number": model.version,
        "content_label": CONTENT_LABEL,
        "content_description": text.RESEARCH_USE,
    }


def instance_uid(findings: Findings, *kind: str) -> UID:
    """SOP Instance UID of an object of this kind on these instances by this model.

    Instances that were left out count too: a series to which one comes late is in another
    state, and its report names the one before.
    """
    volume = findings.volume
    used = {str(header.SOPInstanceUID) for header in volume.headers}
    instances = sorted(used | volume.left_out)
    return derive(*kind, volume.series_instance_uid, *instances, findings.model)


def series_uid(findings: Findings, series: ObjectSeries) -> UID:
    """Series Instance UID of all objects of this kind by this model, revisions included."""
    return derive(series.name, findings.volume.series_instance_uid, findings.model)


def _series_number(volume: Volume) -> int:
    return max(0, int(images.first_header(volume).get("SeriesNumber") or 0))


def complete(document: Dataset, findings: Findings) -> None:
    """Say whose it is, who made it and when, in the words of the images and of the caller.

    Replaces what highdicom took from its arguments and from the clock.
    """
    identity.copy(images.first_header(findings.volume), document)
    equipment.describe(document, equipment.model_of(findings.model), findings.now)
    for keyword in CREATION_DATES:
        if keyword in document:
            setattr(document, keyword, findings.now.strftime("%Y%m%d"))
    for keyword in CREATION_TIMES:
        if keyword in document:
            setattr(document, keyword, findings.now.strftime("%H%M%S.%f"))
