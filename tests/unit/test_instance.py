"""Who an instance is, and when it is too large; a table for each."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

from dicom_node.errors import InvalidUID, OversizedInstance, UnreadableInstance
from dicom_node.instance import Sizes, identify
from tests.instances import instance

if TYPE_CHECKING:
    from pydicom import Dataset

SIZES = Sizes(max_bytes=1 << 20, max_decoded_bytes=4 << 20)
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def ct(**changes: Any) -> Dataset:
    made = instance(generate_uid(), generate_uid(), 0)
    del made.file_meta
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


def encoded(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    write_dataset(out, dataset)
    data = bytes(out.getvalue())
    return deflated(data) if syntax.is_deflated else data


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def without(keyword: str) -> Dataset:
    made = ct()
    delattr(made, keyword)
    return made


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_an_instance_is_identified_in_every_encoding(syntax: UID) -> None:
    made = ct()
    found = identify([encoded(made, syntax)], syntax, SIZES)
    assert found.sop_class_uid == made.SOPClassUID
    assert found.sop_instance_uid == made.SOPInstanceUID
    assert found.series_uid == made.SeriesInstanceUID
    assert found.study_uid == made.StudyInstanceUID
    assert found.patient_id == "TEST-7"


@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"]
)
def test_an_instance_without_a_uid_is_unreadable(keyword: str) -> None:
    with pytest.raises(UnreadableInstance, match=keyword):
        identify([encoded(without(keyword))], ExplicitVRLittleEndian, SIZES)


@pytest.mark.parametrize(
    "value", ["../../escape", "1.2.3/4", "1.2\\3.4", "Secret^Person", "1." + "2" * 63]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_no_uid_is_refused_and_not_quoted(value: str) -> None:
    made = ct()
    data = encoded(made).replace(
        str(made.SeriesInstanceUID).encode(), value.encode().ljust(len(made.SeriesInstanceUID))
    )
    if len(value) > 64:
        made.SeriesInstanceUID = value
        data = encoded(made)
    with pytest.raises(InvalidUID) as error:
        identify([data], ExplicitVRLittleEndian, SIZES)
    assert value not in str(error.value)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("garbage", [b"", b"Secret^Person", b"\xff" * 64, bytes(64)], ids=repr)
@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_garbage_is_unreadable_and_not_quoted(garbage: bytes, syntax: UID) -> None:
    with pytest.raises(UnreadableInstance) as error:
        identify([garbage], syntax, SIZES)
    assert "Secret" not in str(error.value)


def test_a_data_set_is_too_large_as_sent() -> None:
    data = encoded(ct(PixelData=bytes(1 << 20)))
    with pytest.raises(OversizedInstance, match="1 MiB as sent"):
        identify([data], ExplicitVRLittleEndian, SIZES)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"Rows": 2048, "Columns": 1024}, True),
        ({"Rows": 2048, "Columns": 1025}, False),
        ({"Rows": 1024, "Columns": 1024, "NumberOfFrames": 2}, True),
        ({"Rows": 1024, "Columns": 1024, "NumberOfFrames": 3}, False),
        ({"Rows": 1024, "Columns": 1024, "BitsAllocated": 32}, True),
        ({"Rows": 1024, "Columns": 1024, "BitsAllocated": 64}, False),
        ({"Rows": 1024, "Columns": 1024, "SamplesPerPixel": 3}, False),
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 0}, False),
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": -1}, False),
    ],
)
def test_the_decoded_size_is_bounded(changes: dict[str, int], fits: bool) -> None:
    data = encoded(ct(**changes))
    if fits:
        assert identify([data], JPEG2000Lossless, SIZES).patient_id == "TEST-7"
        return
    with pytest.raises(OversizedInstance, match="when decoded"):
        identify([data], JPEG2000Lossless, SIZES)


def test_a_number_that_is_none_is_unreadable_and_not_quoted() -> None:
    made = ct()
    data = encoded(made).replace(b"(\x00\x10\x00US\x02\x00", b"(\x00\x10\x00US\x06\x00Secr")
    with pytest.raises(UnreadableInstance, match="ValueError") as error:
        identify([data], ExplicitVRLittleEndian, SIZES)
    assert str(int.from_bytes(b"Secr", "little"))[:6] not in str(error.value)


def test_a_bomb_is_refused_without_being_inflated_whole() -> None:
    bomb = deflated(encoded(ct()) + bytes(200 << 20))
    assert len(bomb) < SIZES.max_bytes
    tracemalloc.start()
    try:
        with pytest.raises(OversizedInstance, match="4 MiB when inflated"):
            identify([bomb], DeflatedExplicitVRLittleEndian, SIZES)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_an_instance_without_pixels_has_no_decoded_size() -> None:
    made = ct()
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(made, keyword)
    assert identify([encoded(made)], ExplicitVRLittleEndian, SIZES).patient_id == "TEST-7"


def test_what_stands_behind_the_header_is_not_read() -> None:
    broken = encoded(ct()) + b"\xe0\x7f\x10\x00OW\x00\x00\xff\xff\xff\x7f"
    assert identify([broken], ExplicitVRLittleEndian, SIZES).patient_id == "TEST-7"


def test_sequences_within_sequences_are_an_error_and_no_crash() -> None:
    item = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(UnreadableInstance, match="it "):
        identify([item * 20_000], ExplicitVRLittleEndian, SIZES)
