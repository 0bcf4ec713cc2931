"""Studies as a PACS holds them: CT with everything that names a patient, and people's bookmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from plugin import Kind
from plugin.datasets import phantom
from plugin.datasets.deeplesion_table import read_table
from plugin.datasets.harvested import Builder
from plugin.measure import length
from plugin.report import codes, tree
from plugin.volume import read
from tests.report_cases import bookmark, encoded, made, received

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.bookmark import Bookmark
    from plugin.datasets.deeplesion import Row
    from plugin.datasets.harvested import StudyOutcome, Summary
    from plugin.volume import Volume

SECRET = b"a secret of tests, 32 bytes long"
#: What must not be found in a data set: names, identifiers, dates, places and texts.
PLANTED = {
    "PatientName": "Winterbottom^Philippa",
    "PatientID": "PID-7731-X",
    "OtherPatientIDs": "OTHER-88123",
    "PatientBirthDate": "19320517",
    "PatientAddress": "14 Gloucester Lane",
    "PatientTelephoneNumbers": "0049-30-5551234",
    "PatientComments": "comes with her daughter Rosalind",
    "StudyDate": "20230917",
    "SeriesDate": "20230918",
    "AcquisitionDateTime": "20230919101112",
    "AccessionNumber": "ACC-556677",
    "StudyID": "STUDY-4471",
    "InstitutionName": "Charing Infirmary",
    "InstitutionAddress": "2 Hospital Mews",
    "StationName": "SCANNER-ROOM-9",
    "ReferringPhysicianName": "Oglethorpe^Basil",
    "OperatorsName": "Quimby^Operator",
    "DeviceSerialNumber": "SN-31415926",
    "StudyDescription": "Thorax of Mrs Winterbottom",
    "SeriesDescription": "for Dr Oglethorpe",
    "ProtocolName": "infirmary protocol 12",
    "ImageComments": "burned by Quimby",
}
#: The words of a bookmark, with a type among them.
LABEL = "Winterbottom nodule of the lung, seen by Oglethorpe"
#: The diameters of a bookmark.
AXES = ("long_axis", "short_axis")
#: A private attribute.
PRIVATE_TEXT = "PRIVATE-BLOCK-VALUE"
#: The observer of a report.
READER = "Pettigrew^Horace"
OURS = (
    codes.OBSERVER_TYPE,
    codes.DEVICE_OBSERVER_UID,
    codes.DEVICE_OBSERVER_NAME,
    codes.DEVICE_OBSERVER_MODEL,
    codes.ALGORITHM,
)


def chest(folder: Path, spec: phantom.Spec | None = None, **attributes: object) -> Volume:
    """A chest phantom with everything in it that names a patient."""
    phantom.make(folder, spec or phantom.Spec(shape=(40, 64, 64), spacing=(6.0, 5.5, 5.5)))
    for path in sorted(folder.iterdir()):
        dataset = dcmread(path)
        for keyword, value in (PLANTED | attributes).items():
            setattr(dataset, keyword, value)
        dataset.private_block(0x0029, "A VENDOR", create=True).add_new(1, "LO", PRIVATE_TEXT)
        dataset.save_as(path)
    return read(folder.iterdir())


def mark(source: Volume, number: int = 1, index: int = 20, **changes: object) -> Bookmark:
    """A lesion of 10 x 6 pixels in the right lung of the phantom, in slice `index`."""
    place = source.slices[index]
    values: dict[str, Any] = {
        "sop_instance_uid": place.sop_instance_uid,
        "slice_index": index,
        "slice_range": (index, index),
        "long_axis": ((14.0, 30.0), (24.0, 30.0)),
        "short_axis": ((19.0, 27.0), (19.0, 33.0)),
        "box": (14.0, 27.0, 24.0, 33.0),
    }
    values |= changes
    down, across = source.spacing[1:]
    lengths = {f"{axis}_mm": length(values[axis], down, across) for axis in AXES}
    return bookmark(source, number, **(lengths | values))


def redraw(document: Dataset, axis: int, points: list[float]) -> None:
    """Draw an axis of the first lesion, 0 the long one, through (column, row) points from 0."""
    (group,) = tree.lesion_groups(document)
    item = tree.find(group, (codes.LONG_AXIS, codes.SHORT_AXIS)[axis], "NUM")[0]
    tree.content(item)[0].GraphicData = [value + 0.5 for value in points]


def by_hand(source: Volume, *marks: Bookmark, label: str = LABEL, site: bool = False) -> Dataset:
    """A report as a viewer writes it for a person who measured the lesions."""
    document = encoded(source, list(marks))
    document.Manufacturer, document.ManufacturerModelName = "A vendor", "A viewer"
    _set_words(document, label=label, site=site)
    document.ContentSequence.append(_observer())
    document.SOPInstanceUID = generate_uid(entropy_srcs=[label, repr(marks)])
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    return document


def graphics_by_hand(source: Volume, *marks: Bookmark) -> Dataset:
    """The same lines as a presentation state of a person."""
    (state,) = made(source, list(marks), Kind.PRESENTATION_STATE)
    state.Manufacturer, state.ContentCreatorName = "A vendor", READER
    state.SOPInstanceUID = generate_uid(entropy_srcs=["graphics", repr(marks)])
    return received(state)


def _set_words(document: Dataset, *, label: str, site: bool) -> None:
    unwanted = OURS if site else (*OURS, codes.FINDING_SITE)
    for item in (document, *tree.lesion_groups(document)):
        item.ContentSequence = [
            child
            for child in item.ContentSequence
            if not any(tree.is_named(child, code) for code in unwanted)
        ]
        for comment in tree.find(item, codes.COMMENT):
            comment.TextValue = label


def _observer() -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "HAS OBS CONTEXT", "PNAME"
    item.ConceptNameCodeSequence = [codes.item(codes.PERSON_OBSERVER_NAME)]
    item.PersonName = READER
    return item


def save(document: Dataset, folder: Path, name: str = "report.dcm") -> Path:
    """The file of a document."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    document.save_as(path, enforce_file_format=True)
    return path


def build(target: Path, *studies: list[Path], **options: Any) -> tuple[list[StudyOutcome], Summary]:
    with Builder(target, SECRET, **{"nifti": False} | options) as builder:
        return [builder.add_study(paths) for paths in studies], builder.finish()


def rows(target: Path) -> list[Row]:
    return read_table(target / "DL_info.csv")


def estimates(target: Path) -> list[dict[str, str]]:
    header, *lines = (target / "estimates.csv").read_text().splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
