"""The whole walk with real sockets and a real Orthanc; only the plugin is a fake."""

from __future__ import annotations

import random
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage
from pynetdicom import AE

from dicom_node.delivery import Outcome
from dicom_node.spool import Shelf
from dicom_node.statuses import SUCCESS
from tests.instances import WrittenSeries, instance, spool_of, write_series
from tests.node import SENDER, Node, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local_pacs import OrthancPacs
    from tests.pacs import ScriptedPacs


def reports(orthanc: OrthancPacs, study_uid: str) -> list[Dataset]:
    """The reports of a study, those on more instances last."""
    found = [dcmread(BytesIO(orthanc.download(uid))) for uid in orthanc.reports(study_uid)]
    return sorted(found, key=lambda report: int(report.InstanceNumber))


def test_a_series_becomes_one_report(node: Node, orthanc: OrthancPacs, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 5)
    assert node.send(series.paths).outcome is Outcome.ACKNOWLEDGED
    node.wait_for(series, "delivered")
    [report] = reports(orthanc, series.study_uid)
    assert report.StudyDescription == "5 instances"
    assert report.PatientName == "Secret^Person"


def test_random_order_over_several_associations(
    node: Node, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    series = write_series(tmp_path / "ct", 9)
    paths = random.Random(7).sample(series.paths, 9)
    for part in (paths[:2], paths[2:3], paths[3:]):
        assert node.send(part).outcome is Outcome.ACKNOWLEDGED
    node.wait_for(series, "delivered")
    [report] = reports(orthanc, series.study_uid)
    assert report.StudyDescription == "9 instances"


def test_an_aborted_association_ends_the_arrival_too(
    node: Node, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    series = write_series(tmp_path / "ct", 5)
    entity = AE(SENDER)
    entity.add_requested_context(CTImageStorage)
    association = entity.associate(node.peer.host, node.port, ae_title="LESIONMARK")
    for path in series.paths:
        assert association.send_c_store(dcmread(path)).Status == SUCCESS
    association.abort()
    node.wait_for(series, "delivered")
    [report] = reports(orthanc, series.study_uid)
    assert report.StudyDescription == "5 instances"


def test_interleaved_series_become_one_report_each(
    node: Node, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    first = write_series(tmp_path / "a", 4)
    second = write_series(tmp_path / "b", 6, study_uid=first.study_uid)
    node.send([path for pair in zip(first.paths, second.paths, strict=False) for path in pair])
    node.send(second.paths[4:])
    node.wait_for(first, "delivered")
    node.wait_for(second, "delivered")
    found = reports(orthanc, first.study_uid)
    assert [report.StudyDescription for report in found] == ["4 instances", "6 instances"]


def test_sending_twice_makes_no_second_report(tmp_path: Path, scripted: ScriptedPacs) -> None:
    scripted.start()
    series = write_series(tmp_path / "ct", 5)
    peer = ("pacs", scripted.ae_title, scripted.port)
    with Node(tmp_path / "node", [peer]) as node:
        node.send(series.paths)
        node.wait_for(series, "delivered")
        node.send(series.paths)
        eventually(lambda: node.states(series) == ["delivered", "receiving"], "the second look")
        node.wait_for(series, "delivered")
    assert len(scripted.requests) == 1


def test_late_slices_make_one_revised_report(
    node: Node, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    series = write_series(tmp_path / "ct", 7)
    node.send(series.paths[:5])
    node.wait_for(series, "delivered")
    node.send(series.paths[5:])
    node.wait_for(series, "delivered", "delivered")
    first, second = reports(orthanc, series.study_uid)
    assert "PredecessorDocumentsSequence" not in first
    [before] = second.PredecessorDocumentsSequence
    assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert second.StudyDescription == "7 instances"
    assert second.SeriesInstanceUID == first.SeriesInstanceUID


def test_a_gap_between_slices_is_waited_for(
    node: Node, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    series = write_series(tmp_path / "ct", 6)
    node.send([*series.paths[:2], *series.paths[3:]])
    eventually(lambda: "a gap of 4.0 mm" in node.process.log.read_text(), "the gap being seen")
    node.send(series.paths[2:3])
    node.wait_for(series, "delivered")
    [report] = reports(orthanc, series.study_uid)
    assert report.StudyDescription == "6 instances"


def test_the_count_of_the_sender_ends_the_wait(tmp_path: Path, orthanc: OrthancPacs) -> None:
    series = write_series(tmp_path / "ct", 6)
    for path in series.paths:
        orthanc.upload(path)
    node = Node(
        tmp_path / "node",
        [("pacs", orthanc.ae_title, orthanc.dicom_port)],
        completion={"quiet_period_s": 2.0},
    )
    node.set_query(orthanc.ae_title, orthanc.dicom_port)
    with node:
        node.send(series.paths[:5])
        eventually(lambda: "5 of 6 instances" in node.process.log.read_text(), "the count")
        assert node.states(series) == ["receiving"]
        node.send(series.paths[5:])
        node.wait_for(series, "delivered")
    assert "is whole: 6 of 6 instances" in node.process.log.read_text()
    assert len(reports(orthanc, series.study_uid)) == 1


def test_an_unsuitable_series_is_refused_by_name(node: Node, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 2)
    node.send(series.paths)
    node.wait_for(series, "refused")
    assert node.status(series)[0].reason == "only 2 instances"


def test_a_failed_analysis_is_shown_and_can_be_retried(node: Node, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 13)
    node.send(series.paths)
    node.wait_for(series, "failed")
    assert node.status(series)[0].reason == "ValueError"
    assert f"series {series.series_uid}: analysis again" in node.call("retry").stdout
    eventually(
        lambda: (found := node.status(series)[0].analysis) and found.attempt == 1,
        "the second analysis",
    )
    node.wait_for(series, "failed")


def test_instances_that_are_stored_again_revive_a_failed_analysis(
    node: Node, tmp_path: Path
) -> None:
    series = write_series(tmp_path / "ct", 13)

    def looks() -> int:
        said = f"{series.series_uid} is whole"
        return node.process.log.read_text().count(said)

    def attempt() -> int | None:
        [found] = [status.analysis for status in node.status(series) if status.analysis]
        return found.attempt

    node.send(series.paths)
    node.wait_for(series, "failed")
    node.send(series.paths)
    eventually(lambda: looks() == 2, "a look at what was held already")
    node.wait_for(series, "failed")
    assert attempt() == 0
    spool_of(node.folder).held(series.series_uid)[0].path.unlink()
    node.send(series.paths)
    eventually(lambda: attempt() == 1, "the second analysis")
    node.wait_for(series, "failed")


def test_other_instances_are_set_aside(node: Node, tmp_path: Path) -> None:
    series = WrittenSeries("1.2", "1.2.3", ())
    other = instance(series.series_uid, series.study_uid, 1)
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    path = tmp_path / "sc.dcm"
    other.save_as(path, enforce_file_format=True)
    assert node.send([path]).outcome is Outcome.ACKNOWLEDGED
    [held] = spool_of(node.folder).held("1.2.3", Shelf.ASIDE)
    assert held.sop_instance_uid == other.SOPInstanceUID
    assert node.states(series) == []
    assert "1 series set aside in" in node.call("status").stdout


def test_other_instances_can_be_rejected_instead(tmp_path: Path) -> None:
    other = instance("1.2.3", "1.2", 1)
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    path = tmp_path / "sc.dcm"
    other.save_as(path, enforce_file_format=True)
    strict = {"other_instances": "reject"}
    with Node(tmp_path / "node", [("pacs", "NOBODY", 1)], listener=strict) as node:
        assert node.send([path]).outcome is not Outcome.ACKNOWLEDGED
        assert node.send(write_series(tmp_path / "ct", 3).paths).outcome is Outcome.ACKNOWLEDGED
    assert spool_of(node.folder).count(Shelf.ASIDE) == 0


def test_retention_deletes_pixels_only_after_delivery(
    tmp_path: Path, scripted: ScriptedPacs
) -> None:
    series = write_series(tmp_path / "ct", 4)
    peer = ("pacs", scripted.ae_title, scripted.port)
    with Node(tmp_path / "node", [peer], retention={"keep_h": 0.0}) as node:
        node.send(series.paths)
        node.wait_for(series, "delivering")
        assert len(spool_of(node.folder).held(series.series_uid)) == 4
        scripted.start()
        eventually(
            lambda: not spool_of(node.folder).held(series.series_uid), "the pixels being deleted"
        )
    assert len(scripted.kept) == 1


def test_the_queue_forgets_what_has_outlived_retention(
    tmp_path: Path, scripted: ScriptedPacs
) -> None:
    """And still a series that comes again makes nothing, and one that has grown a revision."""
    scripted.start()
    series = write_series(tmp_path / "ct", 6)
    peer = ("pacs", scripted.ae_title, scripted.port)
    with Node(tmp_path / "node", [peer], retention={"keep_h": 0.0}) as node:
        node.send(series.paths[:5])
        eventually(lambda: node.kinds_of_work() == {"retire"}, "the queue being empty")
        node.send(series.paths[:5])
        eventually(lambda: "LM203" in node.process.log.read_text(), "the second look")
        eventually(lambda: not spool_of(node.folder).uids(series.series_uid), "deletion")
        assert len(scripted.kept) == 1
        node.send(series.paths)
        eventually(lambda: len(scripted.kept) == 2, "the revision")
    first, second = scripted.kept
    [before] = second.PredecessorDocumentsSequence
    assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert second.StudyDescription == "6 instances"
