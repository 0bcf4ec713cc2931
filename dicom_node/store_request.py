"""A C-STORE request as it comes and its response, without data sets in between (PS3.7 9.3.1).

Nearly everything that a node hears is such requests. A general decoder takes longer for one than
everything else that is done for an instance on its way to the disk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dicom_node.durable import Buffer

#: Command fields (PS3.7 E.1-1), and the data set type that says there is none.
_C_STORE_RQ, _C_STORE_RSP, _NO_DATA_SET = 0x0001, 0x8001, 0x0101
#: Elements of the command set that are needed, all of group 0000 (PS3.7 9.3.1.1).
_CLASS, _FIELD, _MESSAGE_ID, _DATA_SET_TYPE, _INSTANCE = 0x0002, 0x0100, 0x0110, 0x0800, 0x1000
_NEEDED: Final = {_CLASS, _FIELD, _MESSAGE_ID, _DATA_SET_TYPE, _INSTANCE}
#: Tag and length of an element in Implicit VR Little Endian (PS3.5 7.1.3), and its first bytes.
_HEADER: Final = struct.Struct("<HHL")
#: A shorter fragment is copied, bytes; beside a longer one its own object weighs nothing.
_LEAST_VIEW: Final = 4096
#: Header of a P-DATA-TF PDU with one presentation data value (PS3.8 9.3.5, E.2).
_P_DATA_TF: Final = struct.Struct(">BxLLBB")
_P_DATA_TYPE, _LAST_COMMAND_FRAGMENT = 0x04, 0x03


@dataclass(eq=False)
class StoreRequest:
    """One C-STORE request. The names of its fields are those that pynetdicom has."""

    #: The presentation context in which it came.
    context_id: int
    #: Message ID (0000,0110).
    message_id: int
    #: Affected SOP Class UID (0000,0002) and Affected SOP Instance UID (0000,1000), as encoded.
    affected: tuple[bytes, bytes]
    #: The data set as it came, piece by piece.
    pieces: list[Buffer] = field(default_factory=list)

    def add(self, fragment: memoryview) -> None:
        """Take the next fragment of the data set.

        One that is most of its PDU is not copied. Any other would keep in memory, by a view,
        far more than itself: its PDU, and an object for each byte if they come one by one.
        """
        if len(fragment) >= _LEAST_VIEW and 2 * len(fragment) >= memoryview(fragment.obj).nbytes:
            self.pieces.append(fragment)
        elif self.pieces and isinstance(self.pieces[-1], bytearray):
            self.pieces[-1] += fragment
        elif fragment:
            self.pieces.append(bytearray(fragment))

    @property
    def AffectedSOPClassUID(self) -> str:  # noqa: N802
        """Which SOP Class the instance is announced to have."""
        return _text(self.affected[0])

    @property
    def AffectedSOPInstanceUID(self) -> str:  # noqa: N802
        """Which instance is announced."""
        return _text(self.affected[1])

    @property
    def DataSet(self) -> BytesIO:  # noqa: N802
        """The encoded data set in one piece."""
        return BytesIO(b"".join(self.pieces))

    def response(self, status: int) -> bytes:
        """The P-DATA-TF PDU that answers it (PS3.7 9.3.1.2)."""
        command = b"".join(
            (
                _element(_CLASS, self.affected[0]),
                _element(_FIELD, struct.pack("<H", _C_STORE_RSP)),
                _element(0x0120, struct.pack("<H", self.message_id)),
                _element(_DATA_SET_TYPE, struct.pack("<H", _NO_DATA_SET)),
                _element(0x0900, struct.pack("<H", status)),
                _element(_INSTANCE, self.affected[1]),
            )
        )
        command = _element(0x0000, struct.pack("<L", len(command))) + command
        length = len(command) + 2
        head = _P_DATA_TF.pack(
            _P_DATA_TYPE, length + 4, length, self.context_id, _LAST_COMMAND_FRAGMENT
        )
        return head + command


def store_request(context_id: int, command: bytes) -> StoreRequest | None:
    """What a command set asks to store; None if it is another command, or lacks something."""
    values = _elements(command)
    if not values.keys() >= _NEEDED:
        return None
    if _short(values[_FIELD]) != _C_STORE_RQ or _short(values[_DATA_SET_TYPE]) == _NO_DATA_SET:
        return None
    return StoreRequest(
        context_id, _short(values[_MESSAGE_ID]), (values[_CLASS], values[_INSTANCE])
    )


def _elements(command: bytes) -> dict[int, bytes]:
    """Values of the elements of a command set (PS3.7 6.3.1); empty if it is none."""
    values: dict[int, bytes] = {}
    at = 0
    while at + _HEADER.size <= len(command):
        group, element, length = _HEADER.unpack_from(command, at)
        at += _HEADER.size + length
        values[element] = command[at - length : at]
        if group:
            return {}
    return values if at == len(command) else {}


def _short(value: bytes) -> int:
    return int.from_bytes(value[:2], "little")


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip("\0 ")


def _element(element: int, value: bytes) -> bytes:
    return _HEADER.pack(0, element, len(value)) + value
