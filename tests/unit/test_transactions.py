from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydicom.config import IGNORE
from pydicom.uid import UID

from dicom_node.transactions import Report, Transactions
from dicom_node.work import PROVE, DeliveryId

if TYPE_CHECKING:
    from pathlib import Path

TRY = DeliveryId(PROVE, "1.2.3", "0123456789abcdef", "pacs", 1)
INSTANCES = {"1.5": "1.4", "1.6": "1.4"}
BOTH = Report(("1.5", "1.6"), {})
ONE = Report(("1.5",), {"1.6": 0x0112})


@pytest.fixture
def transactions(tmp_path: Path) -> Transactions:
    return Transactions(tmp_path / "commitments", "LESIONMARK")


def test_a_try_has_one_transaction_uid_however_often_it_is_repeated(
    transactions: Transactions,
) -> None:
    assert transactions.open(TRY, INSTANCES) == transactions.open(TRY, INSTANCES)
    assert transactions.uid(TRY).is_valid
    assert transactions.uid(TRY) != transactions.uid(TRY.next(PROVE))


def test_two_nodes_never_share_a_transaction_uid(
    transactions: Transactions, tmp_path: Path
) -> None:
    other = Transactions(tmp_path / "other", "OTHER")
    assert other.uid(TRY) != transactions.uid(TRY)


def test_another_process_finds_what_a_report_is_about(
    transactions: Transactions, tmp_path: Path
) -> None:
    opened = transactions.open(TRY, INSTANCES)
    found = Transactions(tmp_path / "commitments", "LESIONMARK").find(transactions.uid(TRY))
    assert found == opened


@pytest.mark.parametrize("uid", ["1.2.3", "", "../../x", "2.25.1/../../x", "1..2", "1" * 65])
def test_of_other_transactions_nothing_is_known(transactions: Transactions, uid: str) -> None:
    transactions.open(TRY, INSTANCES)
    assert transactions.find(UID(uid, IGNORE)) is None


def test_a_report_that_fails_is_taken_once(transactions: Transactions) -> None:
    transactions.close(transactions.open(TRY, INSTANCES), ONE)
    assert not transactions.is_committed(TRY)
    assert transactions.take(TRY) == ONE
    assert transactions.take(TRY) is None


def test_what_is_forgotten_is_gone(transactions: Transactions, tmp_path: Path) -> None:
    transactions.close(transactions.open(TRY, INSTANCES), BOTH)
    transactions.open(TRY.next(PROVE), INSTANCES)
    transactions.forget(TRY)
    assert transactions.find(transactions.uid(TRY)) is None
    left = [path.name for path in (tmp_path / "commitments").iterdir()]
    assert left == [f"{transactions.uid(TRY.next(PROVE))}.request.json"]


def test_a_commitment_is_not_taken_back(transactions: Transactions) -> None:
    transaction = transactions.open(TRY, INSTANCES)
    transactions.close(transaction, ONE)
    transactions.close(transaction, BOTH)
    transactions.close(transaction, ONE)
    assert transactions.is_committed(TRY)
    assert transactions.report(TRY) == BOTH
