"""kill -9 in every state: each acknowledged series ends in exactly one report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.uid import CTImageStorage
from pynetdicom import AE

from dicom_node.statuses import SUCCESS
from tests.instances import write_series
from tests.node import SENDER, Node, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local_pacs import OrthancPacs
    from tests.instances import WrittenSeries
    from tests.pacs import ScriptedPacs


def killed_and_restarted(node: Node) -> None:
    node.process.kill()
    node.process.start()


def assert_one_report(node: Node, orthanc: OrthancPacs, series: WrittenSeries) -> None:
    node.wait_for(series, "delivered")
    assert len(orthanc.reports(series.study_uid)) == 1


def test_while_receiving(node: Node, orthanc: OrthancPacs, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 6)
    entity = AE(SENDER)
    entity.add_requested_context(CTImageStorage)
    association = entity.associate(node.peer.host, node.port, ae_title="LESIONMARK")
    for path in series.paths[:3]:
        assert association.send_c_store(dcmread(path)).Status == SUCCESS
    killed_and_restarted(node)
    node.send(series.paths[3:])
    assert_one_report(node, orthanc, series)
    assert node.status(series)[0].reason.startswith("0 lesions")


def test_in_the_quiet_period(tmp_path: Path, orthanc: OrthancPacs) -> None:
    series = write_series(tmp_path / "ct", 6)
    to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
    with Node(tmp_path / "node", to, completion={"quiet_period_s": 4.0}) as node:
        node.send(series.paths)
        assert node.states(series) == ["receiving"]
        killed_and_restarted(node)
        assert_one_report(node, orthanc, series)


def test_while_analysing(node: Node, orthanc: OrthancPacs, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 6)
    node.gate.touch()
    node.send(series.paths)
    node.wait_for(series, "analysing")
    node.process.kill()
    node.gate.unlink()
    node.process.start()
    assert_one_report(node, orthanc, series)


def test_before_sending(tmp_path: Path, scripted: ScriptedPacs) -> None:
    series = write_series(tmp_path / "ct", 6)
    with Node(tmp_path / "node", [("pacs", scripted.ae_title, scripted.port)]) as node:
        node.send(series.paths)
        node.wait_for(series, "delivering")
        node.process.kill()
        scripted.start()
        node.process.start()
        node.wait_for(series, "delivered")
    assert len(scripted.kept) == 1


def test_between_two_destinations(
    tmp_path: Path, orthanc: OrthancPacs, scripted: ScriptedPacs
) -> None:
    series = write_series(tmp_path / "ct", 6)
    to = [
        ("first", orthanc.ae_title, orthanc.dicom_port),
        ("second", scripted.ae_title, scripted.port),
    ]
    with Node(tmp_path / "node", to) as node:
        node.send(series.paths)
        eventually(lambda: orthanc.reports(series.study_uid), "the report at the first")
        node.process.kill()
        scripted.start()
        node.process.start()
        assert_one_report(node, orthanc, series)
    assert len(scripted.kept) == 1
    assert str(scripted.kept[0].SOPInstanceUID) == orthanc.reports(series.study_uid)[0]


def test_at_every_moment_under_load(tmp_path: Path, orthanc: OrthancPacs) -> None:
    """Series come one after the other while the node is killed again and again."""
    everything = [write_series(tmp_path / f"ct{n}", 5) for n in range(8)]
    to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
    with Node(tmp_path / "node", to, completion={"quiet_period_s": 0.3}) as node:
        for series in everything:
            node.send(series.paths)
            killed_and_restarted(node)
        for series in everything:
            node.wait_for(series, "delivered", limit_s=90)
    assert [len(orthanc.reports(series.study_uid)) for series in everything] == [1] * 8
