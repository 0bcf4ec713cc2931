from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tests.report_cases import bookmark, encoded, volume

#: Character sets as scanners send them, each with a name that needs it (PS3.5 Annexes H to K).
NAMES = {
    "Latin-1": ("ISO_IR 100", "Buc^Jérôme"),
    "Cyrillic": ("ISO_IR 144", "Люксембург"),
    "Arabic": ("ISO_IR 127", "قباني^لنزار"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Japanese katakana": (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "none": (None, "Doe^Jane"),
}


def as_received(dataset: Dataset) -> Dataset:
    """Written and parsed again, so that text is what a scanner would have sent: bytes."""
    file = BytesIO()
    dataset.save_as(file, implicit_vr=False, little_endian=True)
    file.seek(0)
    return dcmread(file, force=True)


def raw(dataset: Dataset, keyword: str) -> bytes:
    """The bytes of an element as they are written."""
    file = BytesIO()
    part = Dataset()
    if "SpecificCharacterSet" in dataset:
        part.SpecificCharacterSet = dataset.SpecificCharacterSet
    part.add(dataset[keyword])
    part.save_as(file, implicit_vr=False, little_endian=True)
    return file.getvalue()


@pytest.mark.parametrize("case", NAMES)
def test_names_keep_their_character_set(case: str) -> None:
    character_set, name = NAMES[case]
    attributes: dict[str, Any] = {"PatientName": name, "StudyDescription": name.split("=")[0]}
    if character_set:
        attributes["SpecificCharacterSet"] = character_set
    source = volume(**attributes)
    header = as_received(source.headers[0])
    source = type(source)(source.hu, source.affine, source.slices, (header, *source.headers[1:]))
    document = encoded(source, [bookmark(source)])
    assert document.get("SpecificCharacterSet") == header.get("SpecificCharacterSet")
    assert document.PatientName == name
    assert raw(document, "PatientName") == raw(header, "PatientName")
    assert raw(document, "StudyDescription") == raw(header, "StudyDescription")


def test_patient_and_study_are_copied_exactly() -> None:
    attributes = {
        "PatientID": "a b",
        "IssuerOfPatientID": "hospital",
        "PatientBirthDate": "19501231",
        "PatientSex": "O",
        "PatientAge": "075Y",
        "AccessionNumber": "ACC 1",
        "StudyID": "7",
        "StudyDate": "20260102",
        "StudyTime": "030405.678",
        "StudyDescription": "Chest",
        "ReferringPhysicianName": "Who^Doctor",
    }
    document = encoded(volume(**attributes), [])
    assert {keyword: str(document[keyword].value) for keyword in attributes} == attributes


def test_missing_attributes_are_empty() -> None:
    document = encoded(volume(), [])
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"):
        assert document[keyword].is_empty, keyword


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_a_value_its_vr_does_not_allow_is_left_out() -> None:
    source = volume(StudyID="longer than sixteen characters", PatientID="p" * 70)
    document = encoded(source, [])
    assert document["StudyID"].is_empty
    assert document.PatientID == "p" * 70
    assert source.headers[0].StudyID == "longer than sixteen characters"


def test_half_filled_references_are_not_copied() -> None:
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = "1.2.3"
    document = encoded(volume(ReferencedStudySequence=[reference]), [])
    assert "ReferencedStudySequence" not in document
