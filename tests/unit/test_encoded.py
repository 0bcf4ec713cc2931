"""What is encoded by hand is read by those who have done it for years."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, JPEGLSLossless
from pynetdicom.dsutils import encode

from dicom_node.encoded import file_header
from tests.instances import instance


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34"])
def test_a_file_is_read_with_its_meta_information(uid: str) -> None:
    ct = instance("1.2", "1", 0)
    data_set = encode(ct, is_implicit_vr=True, is_little_endian=True)
    assert data_set is not None
    read = dcmread(BytesIO(file_header(CTImageStorage, uid, ImplicitVRLittleEndian) + data_set))
    meta = read.file_meta
    assert meta.MediaStorageSOPInstanceUID == uid
    assert meta.MediaStorageSOPClassUID == CTImageStorage
    assert meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert {e.keyword for e in meta} >= {"ImplementationClassUID", "ImplementationVersionName"}
    assert read == ct


def test_the_group_length_counts_the_meta_information() -> None:
    whole = file_header(CTImageStorage, "1.2.3", JPEGLSLossless)
    meta = dcmread(BytesIO(whole), stop_before_pixels=True, force=True).file_meta
    assert 128 + 4 + 12 + meta.FileMetaInformationGroupLength == len(whole)
