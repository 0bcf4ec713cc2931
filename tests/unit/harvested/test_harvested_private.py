from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from plugin.datasets import phantom
from plugin.datasets.deeplesion import Split
from plugin.datasets.harvested import Builder, WrongSecret, persons, pseudonym
from tests import harvested_cases as cases
from tests.harvested_cases import SECRET, build, by_hand, chest, contents, mark, rows, save

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.volume import Volume

TRACKING = "1.2.826.0.1.3680043.99"
#: Every attribute of a key slice. Those that Table E.1-1 of PS3.15 (2026c) lists are UIDs, which
#: are hashed, sex and age, which an option retains, and others of type 2, which are empty or
#: pseudonyms.
ALLOWED = """
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate StudyTime AccessionNumber
    Modality Manufacturer ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex
    PatientAge PatientIdentityRemoved DeidentificationMethodCodeSequence SliceThickness KVP
    PatientPosition StudyInstanceUID SeriesInstanceUID StudyID SeriesNumber AcquisitionNumber
    InstanceNumber ImagePositionPatient ImageOrientationPatient FrameOfReferenceUID Laterality
    PositionReferenceIndicator LongitudinalTemporalInformationModified SamplesPerPixel
    PhotometricInterpretation Rows Columns PixelSpacing BitsAllocated BitsStored HighBit
    PixelRepresentation WindowCenter WindowWidth RescaleIntercept RescaleSlope RescaleType PixelData
"""


@pytest.mark.parametrize(
    ("attributes", "age"),
    [
        ({"PatientAge": "089Y"}, "89.0"),
        ({"PatientAge": "090Y"}, "90.0"),
        ({"PatientAge": "103Y"}, "90.0"),
        ({"PatientAge": "030M"}, "2.0"),
        ({"PatientAge": "", "PatientBirthDate": "19600918", "StudyDate": "20230917"}, "62.0"),
        ({"PatientAge": "", "PatientBirthDate": ""}, None),
        ({"PatientAge": "old", "PatientBirthDate": "unknown"}, None),
    ],
)
def test_ages_are_whole_years_and_those_above_89_are_one(
    attributes: dict[str, str], age: str | None
) -> None:
    header = Dataset()
    for keyword, value in attributes.items():
        header.add_new(keyword, "LO", value)
    found = persons.age(header)
    assert (None if found is None else str(found)) == age


def test_nothing_of_the_patient_is_in_the_data_set(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    one = mark(source, tracking_uid=TRACKING)
    report = by_hand(source, one, mark(source, 2, 25))
    build(target, [save(report, tmp_path), *images.iterdir()], nifti=True, key_slices=True)
    header = source.headers[0]
    secrets = {
        *cases.PLANTED.values(),
        *(part for text in cases.PLANTED.values() for part in text.split("^") if len(part) > 4),
        *(cases.LABEL, cases.PRIVATE_TEXT, cases.READER, "Pettigrew", "A vendor", "Gloucester"),
        *(TRACKING, report.SOPInstanceUID, str(header.FrameOfReferenceUID)),
        *(str(header.StudyInstanceUID), source.series_instance_uid),
        *(each.sop_instance_uid for each in source.slices),
    }
    searched = contents(target)
    assert len(searched) == 22
    for name, data in searched.items():
        everything = name.encode() + data + _unpacked(name, data)
        for secret in secrets:
            for encoding in ("utf-8", "utf-16-le"):
                assert secret.encode(encoding) not in everything, (name, secret)
    # The same search finds them where they are kept.
    kept = b"".join(contents(target.with_name("set.private")).values())
    assert cases.PLANTED["PatientID"].encode() in kept
    assert source.series_instance_uid.encode() in kept


def _unpacked(name: str, data: bytes) -> bytes:
    """What is compressed in a file."""
    if name.endswith(".gz"):
        return gzip.decompress(data)
    if name.endswith(".png"):
        assert {data[i : i + 4] for i in _chunks(data)} == {b"IHDR", b"IDAT", b"IEND"}
        packed = b"".join(
            data[i + 4 : i + 4 + int.from_bytes(data[i - 4 : i])]
            for i in _chunks(data)
            if data[i : i + 4] == b"IDAT"
        )
        return zlib.decompress(packed)
    return b""


def _chunks(data: bytes) -> list[int]:
    """Where the names of the chunks of a PNG are."""
    found, at = [], 12
    while at < len(data):
        found.append(at)
        at += 12 + int.from_bytes(data[at - 4 : at])
    return found


def test_key_slices_follow_the_confidentiality_profile(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source), mark(source, 2, 25)), tmp_path)
    build(target, [report, *images.iterdir()], key_slices=True)
    first, second = (dcmread(path) for path in sorted((target / "Key_slices").iterdir()))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert all(uid.startswith("2.25.") for uid in (first.StudyInstanceUID, first.SOPInstanceUID))
    assert first.PatientIdentityRemoved == "YES"
    methods = [code.CodeValue for code in first.DeidentificationMethodCodeSequence]
    assert methods == ["113100", "113108"]
    assert (first.PatientID, first.PatientAge) == ("000001", "090Y")
    assert {element.keyword for element in first} == set(ALLOWED.split())
    assert first.PatientPosition == ""
    dates = [e.keyword for e in first.iterall() if e.VR in ("DA", "DT", "TM") and e.value]
    assert dates == []
    hu = first.pixel_array * float(first.RescaleSlope) + float(first.RescaleIntercept)
    assert np.array_equal(hu, source.hu[25])
    position = source.to_patient(np.array([25.0, 0, 0]))
    assert list(first.ImagePositionPatient) == pytest.approx(position)


def test_the_mapping_is_kept_apart_and_closed_to_others(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    build(target, [save(by_hand(source, mark(source)), tmp_path), *images.iterdir()])
    private = target.with_name("set.private")
    assert private.stat().st_mode & 0o777 == 0o700
    (registry,) = private.iterdir()
    assert registry.stat().st_mode & 0o777 == 0o600
    with pytest.raises(WrongSecret, match="begun with another secret"):
        Builder(target, b"another secret of the tests")
    with pytest.raises(WrongSecret, match="less than 16 bytes"):
        Builder(target, b"short")


def test_a_patient_is_in_one_part_however_the_data_set_grows() -> None:
    patients = [f"patient {number}" for number in range(4000)]
    parts = [pseudonym.split(SECRET, patient) for patient in patients]
    shares = [parts.count(part) / len(parts) for part in Split]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.02)
    others = [pseudonym.split(b"another secret of tests", patient) for patient in patients]
    agreement = np.mean([a == b for a, b in zip(parts, others, strict=True)])
    assert agreement == pytest.approx(0.7**2 + 2 * 0.15**2, abs=0.03)


def test_a_patient_written_in_two_ways_is_in_one_part(tmp_path: Path, target: Path) -> None:
    """An ID whose two spellings, taken as they are, would be in two parts."""
    spelt = ({}, {"IssuerOfPatientID": "HOSPITAL"})
    number = next(
        number
        for number in range(100)
        if len({pseudonym.split(SECRET, persons.key(_named(number, **each))) for each in spelt}) > 1
    )
    studies = []
    for seed, attributes in enumerate(spelt, start=1):
        folder = tmp_path / str(seed)
        spec = phantom.Spec(shape=(12, 64, 64), spacing=(6.0, 5.5, 5.5), seed=seed)
        volume = chest(folder, spec, PatientID=f"PID-{number}", **attributes)
        report = save(by_hand(volume, mark(volume, seed, 6)), tmp_path / f"report {seed}")
        studies.append([report, *folder.iterdir()])
    build(target, *studies)
    first, second = rows(target)
    assert first.split == second.split


def _named(number: int, **attributes: str) -> Dataset:
    header = Dataset()
    for keyword, value in ({"PatientID": f"PID-{number}"} | attributes).items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize(
    "again", [{"IssuerOfPatientID": "X"}, {"PatientID": "pid-7 "}], ids=["issuer", "case"]
)
def test_issuer_case_and_spaces_do_not_count_for_the_part(again: dict[str, str]) -> None:
    assert persons.part_key(_named(7, **again)) == persons.part_key(_named(7))
    assert persons.part_key(_named(8)) != persons.part_key(_named(7))


def test_studies_of_one_patient_have_one_number_and_part(tmp_path: Path, target: Path) -> None:
    studies = []
    for seed, (patient, day) in enumerate([("A", "1"), ("B", "2"), ("A", "3")], start=1):
        folder = tmp_path / str(seed)
        spec = phantom.Spec(shape=(12, 64, 64), spacing=(6.0, 5.5, 5.5), seed=seed)
        volume = chest(folder, spec, PatientID=patient, PatientAge=f"00{day}Y")
        report = save(by_hand(volume, mark(volume, seed, 6)), tmp_path / f"report {seed}")
        studies.append([report, *folder.iterdir()])
    _, summary = build(target, *studies)
    assert (summary.patients, summary.studies, summary.series) == (2, 3, 3)
    found = rows(target)
    assert [(row.patient, row.study, row.series) for row in found] == [
        (1, 1, 1),
        (1, 2, 1),
        (2, 1, 1),
    ]
    assert found[0].split == found[1].split
    # In another order and one by one: the same parts.
    second = target.with_name("second")
    for study in reversed(studies):
        build(second, study)
    assert {row.age: row.split for row in rows(second)} == {row.age: row.split for row in found}
