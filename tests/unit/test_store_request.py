"""Requests and responses that are read and written by hand, beside pynetdicom's."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pydicom.uid import CTImageStorage
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.statuses import StoreStatus
from dicom_node.store_request import store_request

if TYPE_CHECKING:
    from pynetdicom.dimse_messages import DIMSEMessage

    from dicom_node.store_request import StoreRequest

CONTEXT_ID = 3
UIDS = ["1.2.345", "1.2.3456"]


def request(uid: str) -> C_STORE:
    primitive = C_STORE()
    primitive.MessageID = 65535
    primitive.AffectedSOPClassUID = CTImageStorage
    primitive.AffectedSOPInstanceUID = uid
    primitive.Priority = 2
    primitive.MoveOriginatorApplicationEntityTitle = "MOVER"
    primitive.MoveOriginatorMessageID = 7
    primitive.DataSet = BytesIO(b"data")
    return primitive


def fragments(message: DIMSEMessage) -> list[bytes]:
    """The presentation data values of a message, each behind its control header."""
    return [
        value
        for primitive in message.encode_msg(CONTEXT_ID, 16_384)
        for _, value in primitive.presentation_data_value_list
    ]


def command_of(message: DIMSEMessage) -> bytes:
    return fragments(message)[0][1:]


def encoded_request(uid: str = UIDS[0]) -> bytes:
    message = C_STORE_RQ()
    message.primitive_to_message(request(uid))
    return command_of(message)


@pytest.mark.parametrize("uid", UIDS)
def test_a_request_is_read_as_pynetdicom_wrote_it(uid: str) -> None:
    found = store_request(CONTEXT_ID, encoded_request(uid))
    assert found is not None
    assert found.message_id == 65535
    assert found.AffectedSOPClassUID == CTImageStorage
    assert found.AffectedSOPInstanceUID == uid


@pytest.mark.parametrize("uid", UIDS)
@pytest.mark.parametrize("status", [StoreStatus.SUCCESS, StoreStatus.OUT_OF_RESOURCES])
def test_a_response_is_what_pynetdicom_would_send(status: int, uid: str) -> None:
    response = C_STORE()
    response.MessageIDBeingRespondedTo = 65535
    response.AffectedSOPClassUID = CTImageStorage
    response.AffectedSOPInstanceUID = uid
    response.Status = status
    message = C_STORE_RSP()
    message.primitive_to_message(response)
    [value] = fragments(message)
    pdata = P_DATA()
    pdata.presentation_data_value_list.append((CONTEXT_ID, value))
    found = store_request(CONTEXT_ID, encoded_request(uid))
    assert found is not None
    assert found.response(status) == P_DATA_TF(pdata).encode()


def _without_data_set(command: bytes) -> bytes:
    element = struct.pack("<HHLH", 0, 0x0800, 2, 1)
    assert element in command
    return command.replace(element, struct.pack("<HHLH", 0, 0x0800, 2, 0x0101))


def _of_another_group(command: bytes) -> bytes:
    return command + struct.pack("<HHL", 8, 0x0018, 0)


def _echo(_: bytes) -> bytes:
    primitive = C_ECHO()
    primitive.MessageID = 1
    message = C_ECHO_RQ()
    message.primitive_to_message(primitive)
    return command_of(message)


@pytest.mark.parametrize(
    "spoil",
    [
        _echo,
        _without_data_set,
        _of_another_group,
        lambda command: command[:-1],
        lambda command: command + b"\0",
        lambda command: command[: command.index(struct.pack("<HH", 0, 0x1000))],
        lambda _: b"",
    ],
)
def test_what_is_no_whole_request_is_left_to_the_library(spoil: object) -> None:
    assert callable(spoil)
    assert store_request(CONTEXT_ID, spoil(encoded_request())) is None


def taken(*fragments: int, between: int = 0) -> StoreRequest:
    """A request with fragments of these lengths, each at the end of a PDU with something more."""
    found = store_request(CONTEXT_ID, encoded_request())
    assert found is not None
    for number, length in enumerate(fragments):
        body = bytearray(between) + bytes([number % 256]) * length
        found.add(memoryview(body)[between:])
    return found


def test_a_fragment_that_is_most_of_its_pdu_is_not_copied() -> None:
    assert [type(piece) for piece in taken(16_384, 16_384, between=6).pieces] == [memoryview] * 2


@pytest.mark.parametrize("length", [0, 1, 4095])
def test_many_small_fragments_weigh_what_they_hold(length: int) -> None:
    found = taken(*[length] * 1000, between=8192)
    assert len(found.pieces) == bool(length)
    assert sum(map(len, found.pieces)) == 1000 * length


def test_a_fragment_does_not_keep_a_pdu_that_is_mostly_something_else() -> None:
    [piece] = taken(8192, between=100_000).pieces
    assert isinstance(piece, bytearray)
    assert len(piece) == 8192


def test_fragments_of_all_lengths_keep_their_order() -> None:
    lengths = [1, 0, 9000, 2, 3, 0, 9000, 9000, 5]
    expected = b"".join(bytes([number]) * length for number, length in enumerate(lengths))
    assert taken(*lengths).DataSet.getvalue() == expected
