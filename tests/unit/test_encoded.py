"""What is encoded by hand is read by those who have done it for years."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, JPEGLSLossless
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode, encode

from dicom_node.encoded import dicom_file, store_response
from dicom_node.statuses import StoreStatus
from tests.instances import instance


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34"])
def test_a_file_is_read_with_its_meta_information(uid: str) -> None:
    ct = instance("1.2", "1", 0)
    data_set = encode(ct, is_implicit_vr=True, is_little_endian=True)
    assert data_set is not None
    read = dcmread(BytesIO(dicom_file(CTImageStorage, uid, ImplicitVRLittleEndian, data_set)))
    meta = read.file_meta
    assert meta.MediaStorageSOPInstanceUID == uid
    assert meta.MediaStorageSOPClassUID == CTImageStorage
    assert meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert {e.keyword for e in meta} >= {"ImplementationClassUID", "ImplementationVersionName"}
    assert read == ct


def test_the_group_length_counts_the_meta_information() -> None:
    whole = dicom_file(CTImageStorage, "1.2.3", JPEGLSLossless, b"pixels")
    meta = dcmread(BytesIO(whole), stop_before_pixels=True, force=True).file_meta
    assert 128 + 4 + 12 + meta.FileMetaInformationGroupLength == len(whole) - len(b"pixels")


@pytest.mark.parametrize("status", [StoreStatus.SUCCESS, StoreStatus.OUT_OF_RESOURCES])
def test_a_response_is_what_pynetdicom_would_send(status: int) -> None:
    response = C_STORE()
    response.MessageIDBeingRespondedTo = 65535
    response.AffectedSOPClassUID = CTImageStorage
    response.AffectedSOPInstanceUID = "1.2.345"
    response.Status = status
    message = C_STORE_RSP()
    message.primitive_to_message(response)
    [expected] = [
        data
        for primitive in message.encode_msg(1, 0)
        for _, data in primitive.presentation_data_value_list
    ]
    assert store_response(response) == expected[1:]
    assert decode(BytesIO(store_response(response)), True, True) == message.command_set
