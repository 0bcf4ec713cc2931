from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset, dcmread

from plugin import Kind
from plugin.report import products
from tests.report_cases import bookmark, enhanced, findings, received, volume

if TYPE_CHECKING:
    from plugin.volume import Volume

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


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize("case", NAMES)
def test_names_keep_their_character_set(case: str, multi_frame: bool) -> None:
    """In every object that is sent, byte for byte."""
    character_set, name = NAMES[case]
    attributes: dict[str, Any] = {"PatientName": name, "StudyDescription": name.split("=")[0]}
    if character_set:
        attributes["SpecificCharacterSet"] = character_set
    source = enhanced(**attributes) if multi_frame else volume(**attributes)
    source = replace(source, headers=tuple(map(as_received, source.headers)))
    header = source.headers[0]
    for found in every_object(source):
        assert found.get("SpecificCharacterSet") == header.get("SpecificCharacterSet")
        assert found.PatientName == name
        assert raw(found, "PatientName") == raw(header, "PatientName")
        assert raw(found, "StudyDescription") == raw(header, "StudyDescription")


def every_object(source: Volume) -> list[Dataset]:
    """All that can be sent of one lesion, as a receiver reads it."""
    objects, remarks = products(findings(source, [bookmark(source)]), frozenset(Kind))
    assert remarks == ()
    assert {product.kind for product in objects} == set(Kind)
    return [received(product.dataset) for product in objects]


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
    for found in every_object(volume(**attributes)):
        assert {keyword: str(found[keyword].value) for keyword in attributes} == attributes


def test_missing_attributes_are_empty() -> None:
    absent = ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate")
    for found in every_object(volume(PatientID=None, PatientName=None)):
        for keyword in (*absent, "PatientID", "PatientName"):
            assert found[keyword].is_empty, keyword


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_a_value_its_vr_does_not_allow_is_left_out() -> None:
    source = volume(StudyID="longer than sixteen characters", PatientID="p" * 70)
    for found in every_object(source):
        assert found["StudyID"].is_empty
        assert found.PatientID == "p" * 70
    assert source.headers[0].StudyID == "longer than sixteen characters"


def test_half_filled_references_are_not_copied() -> None:
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = "1.2.3"
    for found in every_object(volume(ReferencedStudySequence=[reference])):
        assert "ReferencedStudySequence" not in found
