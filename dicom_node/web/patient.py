"""Whose series it is: read only when somebody asks, and that is written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydicom import dcmread

from plugin import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.web import Sources

#: Keywords of what is shown, and what a person calls it.
_SHOWN: Final = {
    "PatientName": "Name",
    "PatientID": "Patient ID",
    "PatientBirthDate": "Birth date",
    "PatientSex": "Sex",
    "AccessionNumber": "Accession number",
    "StudyDate": "Study date",
    "StudyDescription": "Study",
    "SeriesDescription": "Series",
}


@dataclass(frozen=True)
class Patient:
    """What the headers of one series say."""

    #: (what, value), empty values left out.
    facts: tuple[tuple[str, str], ...]


def reveal(sources: Sources, series_uid: str, viewer: str) -> Patient | None:
    """What is known of the patient; None when no instance is kept any more.

    `viewer` is the address that asks, for the audit trail.
    """
    path = _any_instance(sources, series_uid)
    if path is None:
        return None
    sources.trail.shown(viewer, path)
    header = dcmread(path, specific_tags=list(_SHOWN), stop_before_pixels=True)
    facts = ((title, str(header.get(keyword) or "")) for keyword, title in _SHOWN.items())
    return Patient(tuple((title, _spaced(value)) for title, value in facts if value))


def _spaced(value: str) -> str:
    """A name without the carets and equals signs between its parts (PS3.5 6.2.1)."""
    return " ".join(value.replace("^", " ").replace("=", " / ").split())


def _any_instance(sources: Sources, series_uid: str) -> Path | None:
    held = sources.spool.held(series_uid)
    if held:
        return held[0].path
    for revision in sources.revisions.of(series_uid):
        for path in sources.revisions.objects(series_uid, revision.digest, Kind.REPORT):
            return path
    return None
