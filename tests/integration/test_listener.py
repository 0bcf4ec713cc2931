"""What the node answers to those who send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread, uid
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
    generate_uid,
)
from pynetdicom import AE, _config, build_context

from dicom_node.spool import Shelf
from dicom_node.statuses import StoreStatus
from tests.instances import instance, spool_of
from tests.node import SENDER, Node

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset


@pytest.fixture(autouse=True)
def _raw_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send what stands in a file behind its meta information, data set or not."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


def store(node: Node, path: Path) -> int:
    """The status of the answer to one instance."""
    entity = AE(SENDER)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate(node.peer.host, node.port, ae_title="LESIONMARK")
    assert association.is_established
    answer = association.send_c_store(path)
    association.release()
    return int(answer.Status)


def written(folder: Path, ct: Dataset, *, announced: str | None = None) -> Path:
    """An instance as a file; its meta information, and so the request, may lie."""
    ct.file_meta.MediaStorageSOPInstanceUID = announced or ct.SOPInstanceUID
    ct.preamble = bytes(128)
    path = folder / "instance.dcm"
    ct.save_as(path, enforce_file_format=False)
    return path


def test_success_means_the_bytes_are_on_disk_as_received(node: Node, tmp_path: Path) -> None:
    ct = instance(series := generate_uid(), generate_uid(), 0)
    path = written(tmp_path, ct)
    assert store(node, path) == StoreStatus.SUCCESS
    [held] = spool_of(node.folder).held(series)
    assert dcmread(held.path) == dcmread(path)
    assert held.path.read_bytes()[-800:] == path.read_bytes()[-800:]


def test_bytes_that_are_no_data_set_are_quarantined(node: Node, tmp_path: Path) -> None:
    path = written(tmp_path, instance(generate_uid(), generate_uid(), 0))
    garbage = b"\x00\x01\x02 this is no data set" * 9
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\x08\x00\x08\x00CS")] + garbage)
    assert store(node, path) == StoreStatus.CANNOT_UNDERSTAND
    [kept] = (node.folder / "state" / "spool" / Shelf.QUARANTINE).iterdir()
    assert kept.read_bytes().endswith(garbage)


def test_another_instance_than_announced_is_refused(node: Node, tmp_path: Path) -> None:
    ct = instance(series := generate_uid(), generate_uid(), 0)
    path = written(tmp_path, ct, announced=generate_uid())
    assert store(node, path) == StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    assert spool_of(node.folder).held(series) == []


def test_a_uid_never_becomes_a_path(node: Node, tmp_path: Path) -> None:
    ct = instance(generate_uid(), generate_uid(), 0)
    written(tmp_path, ct)
    path = tmp_path / "instance.dcm"
    series = str(ct.SeriesInstanceUID).encode()
    evil = b"../../../../escape".ljust(len(series), b"e")
    path.write_bytes(path.read_bytes().replace(series, evil))
    assert store(node, path) == StoreStatus.INVALID_SOP_INSTANCE
    assert not list(node.folder.parent.rglob("escape*"))


def test_every_usual_transfer_syntax_is_taken_as_it_is(node: Node) -> None:
    usual = {
        uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian, uid.RLELossless, uid.JPEGLossless,
        uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless,
        uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K,
    }  # fmt: skip
    classes = (
        CTImageStorage,
        EnhancedCTImageStorage,
        LegacyConvertedEnhancedCTImageStorage,
    )
    entity = AE(SENDER)
    entity.requested_contexts = [build_context(c, s) for c in classes for s in usual]
    association = entity.associate(node.peer.host, node.port, ae_title="LESIONMARK")
    accepted = [(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts]
    association.release()
    assert len(set(accepted)) == len(classes) * len(usual)
