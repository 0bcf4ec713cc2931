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
