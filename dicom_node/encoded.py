"""What stands before a data set in a file, encoded without data sets in between.

It is always the same few elements, and a general encoder takes long for them.
"""

from __future__ import annotations

import struct
from typing import Final

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

#: Preamble and prefix of a DICOM file (PS3.10 7.1).
_PREFIX: Final = bytes(128) + b"DICM"


def file_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """What makes a DICOM file (PS3.10 7) of the encoded data set that follows."""
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
    return b"".join((_PREFIX, length, elements))


def _short(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    """An element in Explicit VR Little Endian, of a VR with a short length (PS3.5 7.1.2)."""
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _uid(value: str) -> bytes:
    """Padded to an even length by a NUL (PS3.5 9.1)."""
    encoded = value.encode("ascii")
    return encoded + b"\0" * (len(encoded) % 2)


def _text(value: str) -> bytes:
    encoded = value.encode("ascii")
    return encoded + b" " * (len(encoded) % 2)
