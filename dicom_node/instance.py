"""What an instance says it is, read from its first elements only, and whether it is too large."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset

from dicom_node.errors import (
    InvalidUID,
    MismatchedInstance,
    OversizedInstance,
    UnreadableInstance,
)
from dicom_node.spool import check_uid
from dicom_node.statuses import StoreStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydicom.tag import BaseTag
    from pydicom.uid import UID
    from pynetdicom.dimse_primitives import C_STORE

    from dicom_node.durable import Buffer
    from dicom_node.store_request import StoreRequest

#: What an instance is refused with for good, by what is wrong with it.
REFUSED: Final = {
    MismatchedInstance: StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    InvalidUID: StoreStatus.INVALID_SOP_INSTANCE,
    OversizedInstance: StoreStatus.INSTANCE_TOO_LARGE,
}


def _tag(word: str) -> int:
    tag = tag_for_keyword(word)
    assert tag is not None, word
    return tag


_CHARACTER_SET, _PATIENT_ID, _FRAMES = map(
    _tag, ("SpecificCharacterSet", "PatientID", "NumberOfFrames")
)
#: In the order of the fields of Identity.
_UIDS = {
    _tag(word): word
    for word in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
}
_ROWS = _tag("Rows")
#: With Number of Frames the factors of the decoded size in bits (PS3.3 C.7.6.3).
_SHORTS = [_ROWS, *map(_tag, ("Columns", "SamplesPerPixel", "BitsAllocated"))]
_TAGS = [_CHARACTER_SET, _PATIENT_ID, _FRAMES, *_UIDS, *_SHORTS]
#: Elements stand in ascending order (PS3.5 7.1); behind this one is nothing we read.
_LAST = max(_TAGS)
#: The elements up to the last one fit, private ones and icons included; parsing stays short.
_HEADER_BYTES = 8 << 20
#: So many hold them nearly always.
_FIRST_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
#: Some write a US as UL. An IS has 12 characters at most (PS3.5 6.2).
_LONGEST_SHORT, _LONGEST_STRING = 4, 12

#: What pydicom raises on bytes that are no data set.
_FAULTS = (
    InvalidDicomError, AttributeError, EOFError, IndexError, KeyError, LookupError,
    NotImplementedError, OSError, OverflowError, RecursionError, TypeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip

#: The elements that were found, by their tags, not decoded.
_Header = dict[int, RawDataElement]


@dataclass(frozen=True)
class Sizes:
    """The largest instance that is accepted."""

    #: Data set as sent, bytes.
    max_bytes: int
    #: Pixel data once decoded, and a deflated data set once inflated, bytes.
    max_decoded_bytes: int


@dataclass(frozen=True)
class Identity:
    """The names by which an instance is kept and audited."""

    #: SOP Class UID (0008,0016).
    sop_class_uid: str
    #: SOP Instance UID (0008,0018).
    sop_instance_uid: str
    #: Series Instance UID (0020,000E).
    series_uid: str
    #: Study Instance UID (0020,000D).
    study_uid: str
    #: Patient ID (0010,0020); for the audit trail, never for the log.
    patient_id: str


def identify(pieces: Sequence[Buffer], transfer_syntax: UID, sizes: Sizes) -> Identity:
    """Read who an encoded data set is, without its pixels; decode nothing.

    `pieces` of it follow each other.

    Raises UnreadableInstance when it is no data set or lacks a UID, InvalidUID, and
    OversizedInstance when it, or what it would be decoded, is larger than `sizes` allow.
    No message quotes a value: what stands in a broken data set may be a patient's name.
    """
    if sum(map(len, pieces)) > sizes.max_bytes:
        raise OversizedInstance(f"more than {sizes.max_bytes >> 20} MiB as sent")
    try:
        header = _read_header(pieces, transfer_syntax, sizes.max_decoded_bytes)
        decoded = _decoded_bytes(header)
        sop_class, sop_instance, series, study = (_uid(header, tag) for tag in _UIDS)
        patient_id = _patient_id(header)
    except _FAULTS as error:
        raise UnreadableInstance(f"it is no data set: {type(error).__name__}") from None
    if decoded > sizes.max_decoded_bytes:
        raise OversizedInstance(f"more than {sizes.max_decoded_bytes >> 20} MiB when decoded")
    return Identity(sop_class, sop_instance, series, study, patient_id)


def check_request(request: StoreRequest | C_STORE, identity: Identity) -> None:
    """The data set must be the instance that the request announced (PS3.4 B.2.3)."""
    announced = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
    if announced != (identity.sop_class_uid, identity.sop_instance_uid):
        raise MismatchedInstance(f"{identity.sop_instance_uid} was announced as another one")


def _read_header(pieces: Sequence[Buffer], syntax: UID, max_inflated: int) -> _Header:
    if syntax.is_deflated:
        data = _inflate_header(b"".join(pieces), max_inflated)
        return _parse(data, syntax)[0]
    header, is_whole = _parse_some(_head(pieces, _FIRST_BYTES), syntax)
    if not is_whole:
        header, _ = _parse(_head(pieces, _HEADER_BYTES), syntax)
    return header


def _head(pieces: Sequence[Buffer], count: int) -> bytes:
    """The first bytes of a data set."""
    ends = accumulate(map(len, pieces))
    needed = next((n for n, end in enumerate(ends, start=1) if end >= count), len(pieces))
    return b"".join(pieces[:needed])[:count]


def _parse_some(data: bytes, syntax: UID) -> tuple[_Header, bool]:
    """As `_parse`; the data may break off anywhere."""
    try:
        return _parse(data, syntax)
    except _FAULTS:
        return {}, False


def _parse(data: bytes, syntax: UID) -> tuple[_Header, bool]:
    """The elements we read, and whether there can be no more of them behind."""
    is_whole = False

    def is_behind(tag: BaseTag, *_: object) -> bool:
        nonlocal is_whole
        is_whole = int(tag) > _LAST
        return is_whole

    header = read_dataset(
        BytesIO(data),
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=is_behind,
        specific_tags=list(_TAGS),
    )
    return {e.tag: e for e in header.elements() if isinstance(e, RawDataElement)}, is_whole


def _inflate_header(data: bytes, max_inflated: int) -> bytes:
    """The first bytes of a deflated data set; all of it is inflated once, but not kept."""
    header = bytearray()
    total = 0
    for chunk in _inflate(data):
        total += len(chunk)
        if total > max_inflated:
            raise OversizedInstance(f"more than {max_inflated >> 20} MiB when inflated")
        header += chunk[: _HEADER_BYTES - len(header)]
    return bytes(header)


def _inflate(data: bytes) -> Iterator[bytes]:
    """Inflate (RFC 1951) from and into pieces, so that a bomb never lies in memory whole."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for start in range(0, len(data), _CHUNK_BYTES):
        piece = data[start : start + _CHUNK_BYTES]
        while piece:
            yield inflater.decompress(piece, _CHUNK_BYTES)
            piece = inflater.unconsumed_tail
    yield inflater.flush()


def _decoded_bytes(header: _Header) -> int:
    """Bytes of the pixel data once decoded; 0 for an instance without pixels."""
    if _ROWS not in header:
        return 0
    frames = int(_text(header, _FRAMES)[:_LONGEST_STRING] or 1)
    return prod(max(1, factor) for factor in (frames, *(_short(header, t) for t in _SHORTS))) // 8


def _uid(header: _Header, tag: int) -> str:
    uid = _text(header, tag)
    if not uid:
        raise UnreadableInstance(f"it has no {_UIDS[tag]}")
    return check_uid(uid)


def _patient_id(header: _Header) -> str:
    encodings = convert_encodings(_text(header, _CHARACTER_SET).split("\\"))
    return decode_bytes(_raw(header, _PATIENT_ID), encodings, set()).strip(" \0")


def _short(header: _Header, tag: int) -> int:
    """An unsigned short (US), or 1 where there is none."""
    value = _raw(header, tag)
    if len(value) > _LONGEST_SHORT:
        raise ValueError(f"{len(value)} bytes in place of a number")
    if not value:
        return 1
    return int.from_bytes(value, "little" if header[tag].is_little_endian else "big")


def _text(header: _Header, tag: int) -> str:
    return _raw(header, tag).decode("latin-1").strip(" \0")


def _raw(header: _Header, tag: int) -> bytes:
    """The value as it is encoded; pydicom quotes in its log what it does not understand."""
    element = header.get(tag)
    return element.value or b"" if element else b""
