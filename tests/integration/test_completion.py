"""When a running node takes a series for whole: asked peers, gaps, the cap, restarts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from deploy.processes import LOOPBACK
from dicom_node import delivery
from dicom_node.config_tables import Destination
from tests.conftest import missing
from tests.dcmqrscp import Dcmqrscp
from tests.instances import instance, spool_of, write_series
from tests.node import SENDER, Node, eventually
from tests.pacs import ScriptedPacs
from tests.query_peer import SUCCESS, QueryPeer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.local_pacs import OrthancPacs
    from tests.instances import WrittenSeries

#: Longer than a test waits, so that nothing is whole by quiet alone.
NEVER = 600.0


@contextmanager
def asking(
    folder: Path, pacs: ScriptedPacs, ae_title: str, port: int, *, quiet_s: float, cap_s: float = 60
) -> Iterator[Node]:
    """A node that asks a query peer how many instances a series has."""
    pacs.start()
    completion = {"quiet_period_s": quiet_s, "cap_s": cap_s}
    node = Node(folder / "node", [("pacs", pacs.ae_title, pacs.port)], completion=completion)
    node.set_query(ae_title, port, timeout_s=1.0)
    with node:
        yield node


def instances_of_reports(pacs: ScriptedPacs) -> list[int]:
    """How many instances each report is about."""
    return [int(report.InstanceNumber) for report in pacs.kept]


@pytest.fixture
def series(tmp_path: Path) -> WrittenSeries:
    return write_series(tmp_path / "ct", 6)


def test_dcmqrscp_says_when_a_series_is_whole(
    tmp_path: Path, scripted: ScriptedPacs, series: WrittenSeries
) -> None:
    """It does not count the instances of a series, so they are counted one by one."""
    try:
        archive = Dcmqrscp(tmp_path / "archive")
    except FileNotFoundError as error:
        missing(str(error))
    with archive, asking(tmp_path, scripted, archive.ae_title, archive.port, quiet_s=2) as node:
        peer = Destination(name="a", host=LOOPBACK, port=archive.port, ae_title=archive.ae_title)
        sent = delivery.send([(p,) for p in series.paths], peer, SENDER, timeout_s=10)
        assert sent.outcome is delivery.Outcome.ACKNOWLEDGED
        node.send(series.paths[:5])
        eventually(lambda: "5 of 6 instances" in node.process.log.read_text(), "the count")
        node.send(series.paths[5:])
        node.wait_for(series, "delivered")
        assert "is whole: 6 of 6 instances" in node.process.log.read_text()
    assert instances_of_reports(scripted) == [6]


def test_orthanc_counts_what_was_set_aside(
    tmp_path: Path, scripted: ScriptedPacs, orthanc: OrthancPacs, series: WrittenSeries
) -> None:
    capture = instance(series.series_uid, series.study_uid, 99)
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    path = tmp_path / "capture.dcm"
    capture.save_as(path, enforce_file_format=True)
    paths = [*series.paths, path]
    for each in paths:
        orthanc.upload(each)
    port = orthanc.dicom_port
    with asking(tmp_path, scripted, orthanc.ae_title, port, quiet_s=NEVER) as node:
        node.send(paths)
        node.wait_for(series, "delivered", limit_s=20)
    assert instances_of_reports(scripted) == [6]


@dataclass(frozen=True)
class Asking:
    """A node that asks the peer beside it; both are shared by the tests that follow."""

    node: Node
    peer: QueryPeer
    pacs: ScriptedPacs

    def reports(self, series: WrittenSeries) -> list[int]:
        """How many instances each report on a series is about."""
        mine = [r for r in self.pacs.kept if r.StudyInstanceUID == series.study_uid]
        return [int(report.InstanceNumber) for report in mine]

    def says(self, series: WrittenSeries) -> str:
        """What the node's log says of a series."""
        lines = self.node.process.log.read_text().splitlines()
        return "\n".join(line for line in lines if series.series_uid in line)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    peer, pacs, folder = QueryPeer(), ScriptedPacs(), tmp_path_factory.mktemp("asking")
    with asking(folder, pacs, peer.ae_title, peer.port, quiet_s=1.5, cap_s=5) as node:
        yield Asking(node, peer, pacs)
    pacs.stop()


@pytest.mark.parametrize(
    ("says", "status"),
    [("2", SUCCESS), ("many", SUCCESS), ("", SUCCESS), (None, 0xA700), (None, 0xC001)],
    ids=["fewer than came", "no number", "nothing", "out of resources", "failed"],
)
def test_without_a_usable_answer_the_quiet_period_decides(
    shared: Asking, series: WrittenSeries, says: str | None, status: int
) -> None:
    with shared.peer.up(says=says, status=status):
        shared.node.send(series.paths[:3])
        shared.node.send(series.paths[3:])
        shared.node.wait_for(series, "delivered")
        assert shared.peer.asked
    assert "is whole: quiet for" in shared.says(series)
    assert shared.reports(series) == [6]


def test_without_a_peer_the_quiet_period_decides(shared: Asking, series: WrittenSeries) -> None:
    shared.node.send(series.paths)
    shared.node.wait_for(series, "delivered")
    assert "is whole: quiet for" in shared.says(series)


def test_a_slow_peer_holds_up_no_other_series(
    shared: Asking, series: WrittenSeries, tmp_path: Path
) -> None:
    everything = [series, *(write_series(tmp_path / name, 4) for name in "abc")]
    with shared.peer.up(answers=False):
        for one in everything:
            shared.node.send(one.paths)
        for one in everything:
            shared.node.wait_for(one, "delivered", limit_s=30)
        assert shared.peer.asked


def test_a_peer_that_claims_more_is_believed_until_the_cap(
    shared: Asking, series: WrittenSeries
) -> None:
    with shared.peer.up(says="7"):
        shared.node.send(series.paths)
        shared.node.wait_for(series, "delivered")
    assert "6 of 7 instances" in shared.says(series)
    assert "is whole: the cap of 5 s is over" in shared.says(series)


def test_a_pacs_that_counts_as_it_sends_makes_one_report(
    shared: Asking, series: WrittenSeries
) -> None:
    """It sends on each instance as it comes in, over an association of its own."""
    with shared.peer.up(says="1"):
        for count, path in enumerate(series.paths, start=1):
            shared.peer.says = str(count)
            shared.node.send([path])
        shared.node.wait_for(series, "delivered")
    assert "is whole: 6 of 6 instances" in shared.says(series)
    assert shared.reports(series) == [6]


def test_a_restart_in_the_quiet_period_of_late_slices(
    tmp_path: Path, scripted: ScriptedPacs, series: WrittenSeries
) -> None:
    scripted.start()
    to = [("pacs", scripted.ae_title, scripted.port)]
    with Node(tmp_path / "node", to, completion={"quiet_period_s": 1.5}) as node:
        node.send(series.paths[:4])
        node.wait_for(series, "delivered")
        node.send(series.paths[4:])
        assert node.states(series) == ["delivered", "receiving"]
        node.process.kill()
        node.process.start()
        node.wait_for(series, "delivered", "delivered")
    assert instances_of_reports(scripted) == [4, 6]
    first, second = scripted.kept
    [before] = second.PredecessorDocumentsSequence
    assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert len(spool_of(node.folder).uids(series.series_uid)) == 6


def test_the_end_of_an_association_that_a_kill_swallowed(
    tmp_path: Path, scripted: ScriptedPacs, series: WrittenSeries
) -> None:
    """The node is killed after the last answer; nobody sends again, yet it need not be capped."""
    scripted.start()
    to = [("pacs", scripted.ae_title, scripted.port)]
    completion = {"quiet_period_s": 1.0, "cap_s": NEVER}
    with Node(tmp_path / "node", to, completion=completion) as node:
        association = node.associate()
        for path in series.paths:
            assert association.send_c_store(path).Status == 0
        eventually(lambda: "an association is open" in node.process.log.read_text(), "a look")
        node.process.kill()
        node.process.start()
        node.wait_for(series, "delivered", limit_s=30)
    assert instances_of_reports(scripted) == [6]
