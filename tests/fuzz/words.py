"""What a well-behaved requestor says, as bytes, and strategies that spoil it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from dicom_node.sop_classes import VERIFICATION
from tests.instances import instance
from tests.node import SENDER

if TYPE_CHECKING:
    from collections.abc import Sequence

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
)
_RELEASE = struct.pack(">BBLL", 5, 0, 4, 0)
_ABORT = struct.pack(">BBLL", 7, 0, 4, 0)
#: Numbers at which parsers break.
_EDGES = (0, 1, 4, 127, 128, 255, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


def encoded(syntax: UID) -> bytes:
    """A small CT data set in one of the encodings."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    ct = instance("1.2.3", "1.2", 0)
    del ct.file_meta
    write_dataset(out, ct)
    data = bytes(out.getvalue())
    if not syntax.is_deflated:
        return data
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def _association_request() -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = SENDER, "LESIONMARK"
    contexts = [build_context(VERIFICATION), *(build_context(CTImageStorage, s) for s in SYNTAXES)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = UID("1.2.3.4")
    primitive.user_information = [length, implementation]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def _pdus(message: DIMSEMessage, context_id: int) -> list[bytes]:
    return [bytes(P_DATA_TF(p).encode()) for p in message.encode_msg(context_id, 1024)]


def _echo() -> list[bytes]:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 7, VERIFICATION
    message = C_ECHO_RQ()
    message.primitive_to_message(request)
    return _pdus(message, 1)


def _store(number: int, syntax: UID) -> list[bytes]:
    request = C_STORE()
    request.MessageID, request.Priority = number, 2
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = instance("1.2.3", "1.2", 0).SOPInstanceUID
    request.DataSet = BytesIO(encoded(syntax))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return _pdus(message, 2 * number + 3)


REQUEST = _association_request()
ECHO = b"".join(_echo())
STORES = [b"".join(_store(number, syntax)) for number, syntax in enumerate(SYNTAXES)]
DATA_SETS = [(encoded(syntax), syntax) for syntax in SYNTAXES]


@dataclass(frozen=True)
class Change:
    """One way to spoil bytes."""

    #: "set", "insert", "delete", "repeat" or "number".
    kind: str
    #: Where, as a fraction of the length.
    place: float
    #: What to put there.
    value: bytes
    #: How many bytes are deleted or repeated.
    count: int

    def apply(self, data: bytes) -> bytes:
        """The bytes with this change."""
        at = int(self.place * len(data))
        before, there, after = data[:at], data[at : at + self.count], data[at + self.count :]
        if self.kind == "delete":
            return before + after
        if self.kind == "repeat":
            return before + 2 * there + after
        if self.kind == "insert":
            return before + self.value + there + after
        return before + self.value + data[at + len(self.value) :]


_NUMBERS = st.builds(
    lambda number, form: struct.pack(form, number & (2 ** (8 * struct.calcsize(form)) - 1)),
    st.sampled_from(_EDGES),
    st.sampled_from([">B", ">H", "<H", ">L", "<L"]),
)
CHANGES = st.builds(
    Change,
    st.sampled_from(["set", "insert", "delete", "repeat"]),
    st.floats(0, 1),
    st.one_of(_NUMBERS, st.binary(min_size=1, max_size=16)),
    st.integers(1, 64),
)


def spoil(data: bytes, changes: Sequence[Change]) -> bytes:
    """The bytes with all of these changes."""
    for change in changes:
        data = change.apply(data)
    return data


def _spoiled(words: Sequence[bytes], most: int) -> st.SearchStrategy[bytes]:
    return st.builds(spoil, st.sampled_from(words), st.lists(CHANGES, max_size=most))


#: An opening, mostly right; some messages, mostly wrong; and an end.
CONVERSATIONS = st.builds(
    lambda opening, rest, end: [opening, *rest, end],
    st.one_of(st.just(REQUEST), st.just(REQUEST), _spoiled([REQUEST, ECHO], 3)),
    st.lists(_spoiled([ECHO, *STORES, REQUEST, _ABORT], 3), max_size=4),
    st.sampled_from([_RELEASE, _ABORT, b"", b"\x05"]),
)
#: Encoded data sets, wrong or right, and the transfer syntax that they are taken for.
SPOILED_DATA_SETS = st.builds(
    lambda source, changes, syntax: (spoil(source[0], changes), syntax or source[1]),
    st.sampled_from(DATA_SETS),
    st.lists(CHANGES, max_size=6),
    st.one_of(st.none(), st.sampled_from(SYNTAXES)),
)
