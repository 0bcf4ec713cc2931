"""Whose images they are: patient and study attributes of a report, as the images have them."""

from __future__ import annotations

from pydicom import DataElement, Dataset
from pydicom.config import RAISE, disable_value_validation
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

#: Identifies an instance; all that a reference to it needs.
REFERENCE_KEYWORDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
#: Type 2 in the Patient and General Study modules: may be empty, must not be absent.
TYPE_2_KEYWORDS = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
#: By these an archive files a report with its images, so they are copied right or wrong.
FILED_BY = frozenset({"PatientID", "PatientName", "StudyInstanceUID"})
#: References of retired services, which scanners and de-identification leave half filled.
NOT_COPIED = ("ReferencedStudySequence", "ReferencedPatientSequence")


def evidence(header: Dataset) -> Dataset:
    """A stand-in for the image that has its UIDs and an empty identity.

    highdicom takes the identity from the first evidence and refuses what breaks the
    standard; a report must name the patient as the images do: see `copy`.
    """
    reference = Dataset()
    for keyword in REFERENCE_KEYWORDS:
        setattr(reference, keyword, header[keyword].value)
    for keyword in TYPE_2_KEYWORDS:
        setattr(reference, keyword, "")
    return reference


def copy(header: Dataset, document: Dataset) -> None:
    """Give `document` the patient and study attributes of `header`, in its character set.

    A value that its VR does not allow is left out, because a wrong or shortened one would
    say something else; what an archive files the report by is copied even so.
    """
    with disable_value_validation():
        if "SpecificCharacterSet" in header:
            document.SpecificCharacterSet = header.SpecificCharacterSet
        document.copy_patient_and_study_information(header)
    for element in list(document):
        if element.keyword in NOT_COPIED:
            del document[element.tag]
        elif element.keyword not in FILED_BY and not _fits(element):
            _leave_out(document, element)


def _fits(element: DataElement) -> bool:
    """Whether every value is one that the VR allows (PS3.5 6.2)."""
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    try:
        for value in values:
            if isinstance(value, str):
                validate_value(element.VR, value, RAISE)
    except ValueError:
        return False
    return True


def _leave_out(document: Dataset, element: DataElement) -> None:
    if element.keyword in TYPE_2_KEYWORDS:
        document.add_new(element.tag, element.VR, "")  # the element itself is the header's
    else:
        del document[element.tag]
