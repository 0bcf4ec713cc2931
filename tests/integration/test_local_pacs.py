"""The PACS of the demo and the tests keeps what it gets, whichever of the two it is."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread
from pydicom.uid import BasicTextSRStorage, generate_uid

from deploy import local_pacs
from deploy.local_pacs import FolderPacs, OrthancPacs, find_orthanc, start_local_pacs
from deploy.processes import LOOPBACK
from dicom_node import delivery
from dicom_node.config_tables import Destination
from tests.conftest import missing
from tests.instances import WrittenSeries, instance, write_series

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deploy.local_pacs import LocalPacs


@pytest.fixture(params=[OrthancPacs, FolderPacs])
def pacs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalPacs]:
    """Each kind of PACS, started."""
    if request.param is OrthancPacs and find_orthanc() is None:
        missing("Orthanc")
    peer: LocalPacs = request.param(tmp_path / "pacs")
    peer.process.start()
    yield peer
    peer.process.stop()


@pytest.fixture
def ct(tmp_path: Path) -> WrittenSeries:
    """A small series."""
    return write_series(tmp_path / "ct", 3)


@pytest.fixture
def report(tmp_path: Path, ct: WrittenSeries) -> Path:
    """A report in the study of that series."""
    document = instance(generate_uid(), ct.study_uid, 0)
    document.Modality = "SR"
    document.SOPClassUID = document.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    path = tmp_path / "report.dcm"
    document.save_as(path, enforce_file_format=True)
    return path


def _send(paths: Sequence[Path], pacs: LocalPacs) -> None:
    peer = Destination(name="p", host=LOOPBACK, port=pacs.dicom_port, ae_title=pacs.ae_title)
    sent = delivery.send([(path,) for path in paths], peer, "SENDER", timeout_s=30)
    assert sent.outcome is delivery.Outcome.ACKNOWLEDGED, sent.reason


def test_it_tells_reports_from_images(pacs: LocalPacs, ct: WrittenSeries, report: Path) -> None:
    _send(ct.paths, pacs)
    assert pacs.reports(ct.study_uid) == []
    _send([report], pacs)
    assert pacs.reports(ct.study_uid) == [dcmread(report).SOPInstanceUID]


def test_it_gives_back_what_it_got(pacs: LocalPacs, ct: WrittenSeries) -> None:
    _send(ct.paths, pacs)
    sent = dcmread(ct.paths[1])
    assert dcmread(BytesIO(pacs.download(sent.SOPInstanceUID))) == sent


def test_it_names_an_instance_that_it_does_not_have(pacs: LocalPacs) -> None:
    with pytest.raises(KeyError, match=r"1\.2\.3"):
        pacs.download("1.2.3")


def test_it_remembers_after_a_restart(pacs: LocalPacs, ct: WrittenSeries) -> None:
    _send(ct.paths, pacs)
    pacs.process.stop()
    pacs.process.start()
    assert pacs.download(dcmread(ct.paths[0]).SOPInstanceUID)


def test_orthanc_lists_and_forwards_a_series(
    orthanc: OrthancPacs, ct: WrittenSeries, tmp_path: Path
) -> None:
    for path in ct.paths:
        orthanc.upload(path)
    (stored,) = orthanc.series(ct.study_uid)
    assert (stored.modality, len(stored.sop_instance_uids)) == ("CT", 3)
    other = FolderPacs(tmp_path / "other")
    other.process.start()
    try:
        orthanc.set_modality("other", other.ae_title, other.dicom_port)
        orthanc.forward(ct.series_uid, "other")
        assert all(other.download(uid) for uid in stored.sop_instance_uids)
    finally:
        other.process.stop()


def test_a_folder_stands_in_where_orthanc_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_pacs, "find_orthanc", lambda: None)
    pacs = start_local_pacs(tmp_path)
    try:
        assert isinstance(pacs, FolderPacs)
        assert str(tmp_path) in pacs.description
    finally:
        pacs.process.stop()
