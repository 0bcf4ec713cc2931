"""A sender asks whether we hold what it sent, and is told the truth (PS3.4 J)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid

from deploy.processes import LOOPBACK
from dicom_node import custody
from dicom_node.sop_classes import VERIFICATION
from dicom_node.spool import Shelf, Spool
from dicom_node.statuses import SUCCESS, ActionStatus, EventStatus, FailureReason
from dicom_node.work import VOUCH, VouchId
from tests.asking_sender import AE_TITLE, AskingSender, ask
from tests.instances import WrittenSeries, write_series
from tests.node import Node, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import Dataset

    from deploy.local_pacs import OrthancPacs

ABSENT = "1.2.3.4"
#: A destination that nobody looks at.
NOWHERE = ("pacs", "NOWHERE", 9)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("node"), [NOWHERE]) as running:
        yield running


@pytest.fixture(scope="module")
def ct(node: Node, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """SOP Class UID by SOP Instance UID of a series that the node holds."""
    series = write_series(tmp_path_factory.mktemp("ct"), 3)
    node.send(series.paths)
    return named(series)


@pytest.fixture
def sender(node: Node) -> Iterator[AskingSender]:
    with AskingSender(node.port) as asking:
        yield asking


def named(series: WrittenSeries) -> dict[str, str]:
    return {str(dcmread(path).SOPInstanceUID): CTImageStorage for path in series.paths}


def told(report: Dataset) -> tuple[set[str], dict[str, int]]:
    """What a report says: kept, and why others are not."""
    return (
        {item.ReferencedSOPInstanceUID for item in report.get("ReferencedSOPSequence") or ()},
        {
            i.ReferencedSOPInstanceUID: i.FailureReason
            for i in report.get("FailedSOPSequence") or ()
        },
    )


def test_who_waits_is_told_on_the_same_association(
    node: Node, ct: dict[str, str], sender: AskingSender
) -> None:
    transaction = generate_uid()
    association = sender.associate()
    assert ask(association, transaction, ct) == SUCCESS
    event_type, report, ours = sender.reports.get(timeout=10)
    association.release()
    assert (event_type, ours, report.TransactionUID) == (1, True, transaction)
    assert told(report) == (set(ct), {})
    # Told once: nothing is left that would tell it again.
    eventually(lambda: VOUCH not in node.kinds_of_work(), "no report that waits")


def test_what_is_not_held_is_named_beside_what_is(ct: dict[str, str], sender: AskingSender) -> None:
    association = sender.associate()
    wrong = dict.fromkeys(list(ct)[:1], MRImageStorage)
    ask(association, generate_uid(), ct | wrong | {ABSENT: CTImageStorage})
    event_type, report, _ = sender.reports.get(timeout=10)
    association.release()
    failed = dict.fromkeys(wrong, FailureReason.CLASS_INSTANCE_CONFLICT)
    assert event_type == 2
    assert told(report) == (
        set(ct) - set(wrong),
        failed | {ABSENT: FailureReason.NO_SUCH_OBJECT_INSTANCE},
    )


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"action": 2}, ActionStatus.NO_SUCH_ACTION),
        ({"well_known": VERIFICATION}, ActionStatus.NO_SUCH_SOP_INSTANCE),
        ({"instances": {}}, ActionStatus.INVALID_ARGUMENT_VALUE),
        ({"transaction_uid": "1.2/../3"}, ActionStatus.INVALID_ARGUMENT_VALUE),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")
def test_a_request_that_makes_no_sense_is_refused_by_name(
    sender: AskingSender, request_: dict[str, object], status: ActionStatus
) -> None:
    association = sender.associate()
    sensible = {"transaction_uid": generate_uid(), "instances": {ABSENT: CTImageStorage}}
    answer = ask(association, **sensible | request_)  # type: ignore[arg-type]
    association.release()
    assert answer == status
    assert sender.reports.empty()


def test_who_leaves_is_told_on_an_association_of_ours_even_after_a_crash(tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 2)
    sender = AskingSender(node_port=0)
    there = {"host": LOOPBACK, "port": sender.port, "ae_title": AE_TITLE}
    senders = [{"ae_title": AE_TITLE, "report_to": there}]
    with Node(tmp_path / "node", [NOWHERE], listener={"sender": senders}) as node:
        sender.node_port = node.port
        node.send(series.paths)
        association = sender.associate()
        assert ask(association, "1.2.3.5", named(series)) == SUCCESS
        association.release()
        # It does not listen now, and the node is killed before it does.
        eventually(lambda: "LM516" in node.process.log.read_text(), "a try that failed")
        node.process.kill()
        sender.answers = [EventStatus.RESOURCE_LIMITATION]
        with sender:
            node.process.start()
            answers = [sender.reports.get(timeout=30) for _ in range(2)]
    for event_type, report, ours in answers:
        assert (event_type, ours) == (1, False)
        assert told(report) == (set(named(series)), {})


def test_orthanc_asks_and_believes_the_answer(orthanc: OrthancPacs, tmp_path: Path) -> None:
    series, kept_back = write_series(tmp_path / "ct", 3), write_series(tmp_path / "other", 1)
    for path in (*series.paths, *kept_back.paths):
        orthanc.upload(path)
    # Orthanc does not wait on its association, so it has to be reached.
    there = {"host": LOOPBACK, "port": orthanc.dicom_port, "ae_title": orthanc.ae_title}
    senders = [{"ae_title": AE_TITLE}, {"ae_title": orthanc.ae_title, "report_to": there}]
    with Node(tmp_path / "node", [NOWHERE], listener={"sender": senders}) as node:
        orthanc.set_modality("lesionmark", "LESIONMARK", node.port)
        orthanc.forward(series.series_uid, "lesionmark")
        good = orthanc.ask_commitment("lesionmark", series.series_uid)
        bad = orthanc.ask_commitment("lesionmark", kept_back.series_uid)
    assert good == "Success"
    assert bad == "Failure"


def test_what_retention_has_deleted_is_not_held_any_more(tmp_path: Path) -> None:
    spool, uid = Spool(tmp_path / "spool"), "1.2.9"
    [path] = write_series(tmp_path / "ct", 1).paths
    spool.add(Shelf.ASIDE, "1.2", uid, path.read_bytes())
    asked = {uid: str(CTImageStorage)}
    assert custody.judge(spool, asked).kept == (uid,)
    spool.remove("1.2", [uid], Shelf.ASIDE)
    assert custody.judge(spool, asked).failed == {uid: FailureReason.NO_SUCH_OBJECT_INSTANCE}


def test_the_name_of_the_work_can_be_read_back_whatever_the_sender_is_called() -> None:
    this = VouchId("A/B C", "1.2.3", 0)
    assert VouchId.parse(str(this.next())) == VouchId("A/B C", "1.2.3", 1)


@pytest.mark.parametrize("length", [0, 100, 132, 150])
def test_of_a_torn_file_nobody_says_that_it_is_kept(tmp_path: Path, length: int) -> None:
    """A name may come through a power cut without the bytes (dicom_node.spool)."""
    [path] = write_series(tmp_path / "ct", 1).paths
    uid, spool = str(dcmread(path).SOPInstanceUID), Spool(tmp_path / "spool")
    spool.add(Shelf.SERIES, "1.2", uid, path.read_bytes()[:length])
    report = custody.judge(spool, {uid: CTImageStorage})
    assert report.kept == ()
    assert list(report.failed) == [uid]
