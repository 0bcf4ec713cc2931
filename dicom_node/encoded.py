"""The two things that are encoded for every instance, without data sets in between.

They are always the same few elements, and encoding them by a general encoder takes longer than
everything else that is done for an instance on its way to the disk.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE

#: Preamble and prefix of a DICOM file (PS3.10 7.1).
_PREFIX: Final = bytes(128) + b"DICM"
#: C-STORE-RSP and "no data set" (PS3.7 Tables 9.3-2 and E.1-1).
_C_STORE_RSP, _NO_DATA_SET = 0x8001, 0x0101


def dicom_file(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data_set: bytes
) -> bytes:
    """An encoded data set as a DICOM file (PS3.10 7), its bytes as they are."""
    elements = b"".join(
        (
            struct.pack("<HH2sHL2s", 2, 0x0001, b"OB", 0, 2, b"\0\1"),
            _short(2, 0x0002, b"UI", _uid(sop_class_uid)),
            _short(2, 0x0003, b"UI", _uid(sop_instance_uid)),
            _short(2, 0x0010, b"UI", _uid(transfer_syntax_uid)),
            _short(2, 0x0012, b"UI", _uid(PYNETDICOM_IMPLEMENTATION_UID)),
            _short(2, 0x0013, b"SH", _text(PYNETDICOM_IMPLEMENTATION_VERSION)),
        )
    )
    length = _short(2, 0x0000, b"UL", struct.pack("<L", len(elements)))
    return b"".join((_PREFIX, length, elements, data_set))


def store_response(response: C_STORE) -> bytes:
    """The command set of a C-STORE-RSP (PS3.7 9.3.1.2), in Implicit VR Little Endian."""
    elements = b"".join(
        (
            _implicit(0x0002, _uid(str(response.AffectedSOPClassUID))),
            _implicit(0x0100, struct.pack("<H", _C_STORE_RSP)),
            _implicit(0x0120, struct.pack("<H", response.MessageIDBeingRespondedTo)),
            _implicit(0x0800, struct.pack("<H", _NO_DATA_SET)),
            _implicit(0x0900, struct.pack("<H", response.Status)),
            _implicit(0x1000, _uid(str(response.AffectedSOPInstanceUID))),
        )
    )
    return _implicit(0x0000, struct.pack("<L", len(elements))) + elements


def _short(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    """An element in Explicit VR Little Endian, of a VR with a short length (PS3.5 7.1.2)."""
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _implicit(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value)) + value


def _uid(value: str) -> bytes:
    """Padded to an even length by a NUL (PS3.5 9.1)."""
    encoded = value.encode("ascii")
    return encoded + b"\0" * (len(encoded) % 2)


def _text(value: str) -> bytes:
    encoded = value.encode("ascii")
    return encoded + b" " * (len(encoded) % 2)
