"""Delivered is what a destination acknowledged, kept is what it proved (PS3.4 J, C)."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest
from pydicom import Dataset

from deploy.processes import LOOPBACK
from dicom_node import config, database, resume
from dicom_node.statuses import EventStatus, FailureReason
from tests.committing_pacs import AE_TITLE, CommittingPacs, Way
from tests.conftest import missing
from tests.dcmqrscp import Dcmqrscp
from tests.instances import spool_of, write_series
from tests.node import SENDER, Node, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.local_pacs import OrthancPacs
    from tests.instances import WrittenSeries

BY_COMMITMENT = {"proof": "storage-commitment"}
BY_QUERY = {"proof": "query"}
SENDERS = {"sender": [{"ae_title": name} for name in (SENDER, AE_TITLE, "ORTHANC")]}
QUICK = {
    "listener": SENDERS,
    "completion": {"quiet_period_s": 0.2},
    "proof": {"hold_s": 0.3, "report_within_s": 600.0, "resends": 1, "find_within_s": 0.0},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, CommittingPacs]]:
    """A node and a PACS that owes it proof; the tests of this module share them."""
    pacs = CommittingPacs(node_port=0)
    node = Node(
        tmp_path_factory.mktemp("node"), [pacs.destination], wishes={"pacs": BY_COMMITMENT}, **QUICK
    )
    pacs.node_port = node.port
    pacs.start()
    with node:
        yield node, pacs
    pacs.stop()


@pytest.fixture
def node(pair: tuple[Node, CommittingPacs]) -> Node:
    return pair[0]


@pytest.fixture
def pacs(pair: tuple[Node, CommittingPacs]) -> CommittingPacs:
    pair[1].reset(Way.NEW)
    return pair[1]


def sent(node: Node, folder: Path) -> WrittenSeries:
    series = write_series(folder / "ct", 3)
    node.send(series.paths)
    return series


def reason(node: Node, series: WrittenSeries) -> str:
    return node.status(series)[0].deliveries[0].reason


def awaits_report(node: Node, series: WrittenSeries) -> bool:
    deliveries = [d for status in node.status(series) for d in status.deliveries]
    return any("asked to commit" in delivery.reason for delivery in deliveries)


def retried(node: Node, series: WrittenSeries) -> list[str]:
    """As `lesionmark retry` does it, without the time that a process takes to start."""
    with database.open_client(config.load(node.config)) as client:
        return resume.retry(client, series.series_uid, time.time())


@pytest.mark.parametrize("way", [Way.SAME, Way.NEW])
def test_a_report_on_either_association_is_the_proof(
    node: Node, pacs: CommittingPacs, tmp_path: Path, way: Way
) -> None:
    pacs.way = way
    series = sent(node, tmp_path)
    node.wait_for(series, "kept")
    assert reason(node, series) == "committed to its safekeeping"
    assert (len(pacs.stored), len(pacs.requests)) == (1, 1)
    assert pacs.replies == [EventStatus.SUCCESS]


def test_what_was_acknowledged_and_forgotten_is_sent_again(
    node: Node, pacs: CommittingPacs, tmp_path: Path
) -> None:
    pacs.forgets = 1
    series = sent(node, tmp_path)
    node.wait_for(series, "kept")
    assert len(pacs.stored) == 2
    assert len(set(pacs.stored)) == 1
    first, second = pacs.requests
    assert first.TransactionUID != second.TransactionUID


def test_a_peer_that_keeps_forgetting_is_a_failure_that_can_be_retried(
    node: Node, pacs: CommittingPacs, tmp_path: Path
) -> None:
    pacs.forgets = 2
    series = sent(node, tmp_path)
    node.wait_for(series, "failed")
    assert reason(node, series) == (
        "acknowledged, but not kept: not committed to 1 object: 0x0112 no such object instance"
    )
    assert retried(node, series) == [f"series {series.series_uid} to pacs: proof again"]
    node.wait_for(series, "kept")
    assert len(pacs.stored) == 3


def test_a_failure_that_may_pass_is_asked_about_again(
    node: Node, pacs: CommittingPacs, tmp_path: Path
) -> None:
    pacs.failures = [FailureReason.PROCESSING_FAILURE, FailureReason.DUPLICATE_TRANSACTION_UID]
    series = sent(node, tmp_path)
    node.wait_for(series, "kept")
    assert len({str(request.TransactionUID) for request in pacs.requests}) == 3
    assert len(pacs.stored) == 1


def test_a_report_that_comes_after_the_failure_is_taken_up(
    node: Node, pacs: CommittingPacs, tmp_path: Path
) -> None:
    pacs.failures = [FailureReason.REFERENCED_SOP_CLASS_NOT_SUPPORTED]
    series = sent(node, tmp_path)
    node.wait_for(series, "failed")
    assert "0x0122 referenced sop class not supported" in reason(node, series)
    pacs.report_on(pacs.requests[0])
    node.wait_for(series, "kept")
    assert len(pacs.requests) == 1


def test_a_request_that_is_refused_is_made_again(
    node: Node, pacs: CommittingPacs, tmp_path: Path
) -> None:
    pacs.answers = [FailureReason.PROCESSING_FAILURE, FailureReason.DUPLICATE_TRANSACTION_UID]
    series = sent(node, tmp_path)
    eventually(lambda: awaits_report(node, series), "the second request")
    assert node.states(series) == ["delivered"]
    pacs.report_on(pacs.requests[1])
    node.wait_for(series, "kept")


def test_a_report_on_nothing_of_ours_is_answered_so(node: Node, pacs: CommittingPacs) -> None:
    stranger = Dataset()
    stranger.TransactionUID = "2.25.1"
    stranger.ReferencedSOPSequence = []
    pacs.report_on(stranger)
    assert pacs.replies == [EventStatus.INVALID_ARGUMENT_VALUE]
    assert node.answers()


def test_orthanc_and_dcmqrscp_prove_that_they_keep_the_report(
    tmp_path: Path, orthanc: OrthancPacs
) -> None:
    if shutil.which("dcmqrscp") is None:
        missing("dcmqrscp")
    with Dcmqrscp(tmp_path / "archive") as archive:
        destinations = [
            ("commits", orthanc.ae_title, orthanc.dicom_port),
            ("answers", orthanc.ae_title, orthanc.dicom_port),
            ("archive", archive.ae_title, archive.port),
        ]
        wishes = {"commits": BY_COMMITMENT, "answers": BY_QUERY, "archive": BY_QUERY}
        with Node(tmp_path / "node", destinations, wishes=wishes, **QUICK) as node:
            orthanc.set_modality("lesionmark", "LESIONMARK", node.port)
            series = sent(node, tmp_path)
            node.wait_for(series, "kept")
            reasons = {d.id.destination: d.reason for d in node.status(series)[0].deliveries}
    assert reasons == {
        "commits": "committed to its safekeeping",
        "answers": "finds 1 object",
        "archive": "finds 1 object",
    }
    assert len(orthanc.reports(series.study_uid)) == 1


def test_a_query_finds_out_that_an_archive_has_forgotten(tmp_path: Path) -> None:
    """It acknowledges all, but another, empty archive is asked for it: nothing is found."""
    if shutil.which("dcmqrscp") is None:
        missing("dcmqrscp")
    pacs = CommittingPacs(node_port=0)
    pacs.start()
    with Dcmqrscp(tmp_path / "archive") as archive:
        peer = {"host": LOOPBACK, "port": archive.port, "ae_title": archive.ae_title}
        wishes = {"pacs": BY_QUERY | {"proof_peer": peer}}
        with Node(tmp_path / "node", [pacs.destination], wishes=wishes, **QUICK) as node:
            series = sent(node, tmp_path)
            node.wait_for(series, "failed")
            assert reason(node, series) == (
                "acknowledged, but not kept: does not find 1 of 1 object"
            )
    pacs.stop()
    assert len(pacs.stored) == 2


def test_pixels_stay_until_the_report_comes_though_the_node_is_killed(tmp_path: Path) -> None:
    pacs = CommittingPacs(node_port=0, way=Way.NEVER)
    tables = QUICK | {"retention": {"keep_h": 0.0}}
    node = Node(tmp_path / "n", [pacs.destination], wishes={"pacs": BY_COMMITMENT}, **tables)
    pacs.node_port = node.port
    pacs.start()
    try:
        with node:
            series = sent(node, tmp_path)
            eventually(lambda: pacs.requests, "the request")
            node.process.kill()
            pacs.report_on(pacs.requests[0])  # nobody listens
            assert pacs.replies == []
            node.process.start()
            eventually(lambda: awaits_report(node, series), "the look to end")
            assert node.states(series) == ["delivered"]
            assert len(spool_of(node.folder).held(series.series_uid)) == 3
            pacs.report_on(pacs.requests[0])
            node.wait_for(series, "kept")
            held = spool_of(node.folder).held
            eventually(lambda: not held(series.series_uid), "the pixels being deleted")
        assert len({str(request.TransactionUID) for request in pacs.requests}) == 1
    finally:
        pacs.stop()
