"""What is kept of a patient: sex and age (PS3.15 E.3.8, Retain Patient Characteristics)."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from pydicom import Dataset

#: Ages above this one single persons out; they are all given as one more, years.
HIGHEST_AGE = 89
#: Units of an Age String (PS3.5 6.2), in a year.
UNITS = {"Y": 1, "M": 12, "W": 52, "D": 365}
_AGE = re.compile(r"(\d{3})([DWMY])")


def key(header: Dataset) -> str:
    """What tells patients apart: Patient ID with its issuer; the study where there is none."""
    patient_id = str(header.get("PatientID") or "").strip()
    if not patient_id:
        return chr(0).join(("study", str(header.StudyInstanceUID)))
    issuer = str(header.get("IssuerOfPatientID") or "").strip()
    return chr(0).join(("patient", issuer, patient_id))


def part_key(header: Dataset) -> str:
    """What decides on a patient's part of the data set: Patient ID as all may write it.

    Issuer and case do not count: who is written in two ways must not be in two parts, and that
    two patients of one ID are in the same one does no harm.
    """
    patient_id = str(header.get("PatientID") or "").strip()
    return chr(0).join(("patient", "", patient_id.upper())) if patient_id else key(header)


def gender(header: Dataset) -> str:
    """M, F, or empty where it is unknown or other."""
    stated = str(header.get("PatientSex") or "")
    return stated if stated in ("M", "F") else ""


def age(header: Dataset) -> Decimal | None:
    """Whole years at the time of the study, 90 for all above 89; None where it is unknown."""
    years = _stated(header)
    if years is None:
        years = _counted(header)
    if years is None or years < 0:
        return None
    return Decimal(f"{min(years, HIGHEST_AGE + 1)}.0")


def _stated(header: Dataset) -> int | None:
    """By Patient's Age (0010,1010)."""
    found = _AGE.fullmatch(str(header.get("PatientAge") or "").strip())
    return int(found[1]) // UNITS[found[2]] if found else None


def _counted(header: Dataset) -> int | None:
    """From birth to the study."""
    born, then = (_date(header, name) for name in ("PatientBirthDate", "StudyDate"))
    if born is None or then is None:
        return None
    return then.year - born.year - ((then.month, then.day) < (born.month, born.day))


def _date(header: Dataset, keyword: str) -> date | None:
    try:
        return datetime.strptime(str(header.get(keyword) or ""), "%Y%m%d").date()
    except ValueError:
        return None
