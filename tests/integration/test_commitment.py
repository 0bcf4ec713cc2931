"""One request for storage commitment, and what is answered to reports (PS3.4 J.3)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydicom import Dataset

from deploy.processes import LOOPBACK
from dicom_node.commitment import Reports, ask
from dicom_node.config_tables import QueryPeer
from dicom_node.delivery import Outcome
from dicom_node.errors import QueueUnavailable
from dicom_node.statuses import ActionStatus, EventStatus
from dicom_node.transactions import Report, Transactions
from dicom_node.work import PROVE, DeliveryId
from tests.committing_pacs import AE_TITLE, CommittingPacs, Way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_node.delivery import Sent
    from tests.pacs import ScriptedPacs

TRY = DeliveryId(PROVE, "1.2.3", "0123456789abcdef", "pacs", 1)
INSTANCES = {"1.5": "1.4", "1.6": "1.4"}


@pytest.fixture
def transactions(tmp_path: Path) -> Transactions:
    return Transactions(tmp_path, "LESIONMARK")


@pytest.fixture(scope="module")
def running() -> Iterator[CommittingPacs]:
    peer = CommittingPacs(node_port=0)
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def pacs(running: CommittingPacs) -> CommittingPacs:
    running.reset(Way.NEVER)
    return running


def asked(transactions: Transactions, port: int, *, hold_s: float = 0.0) -> Sent:
    peer = QueryPeer(host=LOOPBACK, port=port, ae_title=AE_TITLE, timeout_s=10.0)
    transaction = transactions.open(TRY, INSTANCES)
    return ask(transaction, peer, "SENDER", Reports(transactions).handle, hold_s=hold_s)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, Outcome.ACKNOWLEDGED),
        (ActionStatus.DUPLICATE_TRANSACTION_UID, Outcome.ACKNOWLEDGED),
        (ActionStatus.NO_SUCH_SOP_INSTANCE, Outcome.UNWILLING),
        (ActionStatus.NO_SUCH_SOP_CLASS, Outcome.UNWILLING),
        (ActionStatus.NO_SUCH_ACTION, Outcome.UNWILLING),
        (ActionStatus.NOT_AUTHORIZED, Outcome.UNWILLING),
        (ActionStatus.UNRECOGNIZED_OPERATION, Outcome.UNWILLING),
        (0x0110, Outcome.TRY_AGAIN),
        (0x0213, Outcome.TRY_AGAIN),
    ],
)
def test_what_an_answer_means(
    transactions: Transactions, pacs: CommittingPacs, status: int, outcome: Outcome
) -> None:
    pacs.answers = [status]
    assert asked(transactions, pacs.port).outcome is outcome
    [request] = pacs.requests
    assert request.TransactionUID == transactions.uid(TRY)
    named = {(i.ReferencedSOPInstanceUID, i.ReferencedSOPClassUID)
             for i in request.ReferencedSOPSequence}  # fmt: skip
    assert named == set(INSTANCES.items())


def test_a_report_on_the_same_association_ends_the_wait_for_it(
    transactions: Transactions, pacs: CommittingPacs
) -> None:
    pacs.way, pacs.held = Way.SAME, {"1.5"}
    sent = asked(transactions, pacs.port, hold_s=60.0)
    assert sent.outcome is Outcome.ACKNOWLEDGED
    assert transactions.report(TRY) == Report(("1.5",), {"1.6": 0x0112})
    assert pacs.replies == [EventStatus.SUCCESS]


def test_a_peer_without_storage_commitment_is_a_matter_of_setting(
    transactions: Transactions, scripted: ScriptedPacs
) -> None:
    scripted.start()
    assert asked(transactions, scripted.port).outcome is Outcome.UNWILLING


def event(event_type: int = 1, **information: Any) -> Any:
    report = Dataset()
    for keyword, value in information.items():
        setattr(report, keyword, value)
    return cast("Any", SimpleNamespace(event_type=event_type, event_information=report))


def item(uid: str, reason: int | None = None) -> Dataset:
    found = Dataset()
    found.ReferencedSOPInstanceUID = uid
    if reason is not None:
        found.FailureReason = reason
    return found


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (event(event_type=3), EventStatus.NO_SUCH_EVENT_TYPE),
        (event(), EventStatus.INVALID_ARGUMENT_VALUE),
        (event(TransactionUID=None), EventStatus.INVALID_ARGUMENT_VALUE),
        (event(TransactionUID="2.25.7"), EventStatus.INVALID_ARGUMENT_VALUE),
        (event(TransactionUID="2.25.7", FailedSOPSequence=[item("1.5")]),
         EventStatus.INVALID_ARGUMENT_VALUE),
        (event(TransactionUID="2.25.7", ReferencedSOPSequence=[Dataset()]),
         EventStatus.INVALID_ARGUMENT_VALUE),
    ],
)  # fmt: skip
def test_a_report_that_makes_no_sense_is_answered_so(
    transactions: Transactions, bad: Any, status: EventStatus
) -> None:
    transactions.open(TRY, INSTANCES)
    assert Reports(transactions).handle(bad) == (status, None)
    assert transactions.report(TRY) is None


def test_a_report_tells_of_what_was_asked_and_the_worse_of_two_answers_counts(
    transactions: Transactions,
) -> None:
    transactions.open(TRY, INSTANCES)
    told: list[DeliveryId] = []
    kept = [item("1.5"), item("1.6"), item("1.99")]
    failed = [item("1.6", 0x0110), item("1.98", 0x0112)]
    uid = transactions.uid(TRY)
    good = event(2, TransactionUID=uid, ReferencedSOPSequence=kept, FailedSOPSequence=failed)
    assert Reports(transactions, told.append).handle(good) == (EventStatus.SUCCESS, None)
    assert transactions.report(TRY) == Report(("1.5",), {"1.6": 0x0110})
    assert told == [TRY]


def test_a_report_that_cannot_be_kept_is_not_acknowledged(transactions: Transactions) -> None:
    def lost(_: DeliveryId) -> None:
        raise QueueUnavailable("the database is gone")

    transactions.open(TRY, INSTANCES)
    good = event(TransactionUID=transactions.uid(TRY), ReferencedSOPSequence=[item("1.5")])
    status, _ = Reports(transactions, lost).handle(good)
    assert status == EventStatus.RESOURCE_LIMITATION
