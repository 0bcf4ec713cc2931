"""What is made of reports, as far as no peer is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dicom_node import config
from dicom_node.live import fixed
from dicom_node.proof import Proofs
from dicom_node.receipts import Receipts
from dicom_node.transactions import Report, Transactions
from dicom_node.work import DELIVER, PROVE, DeliveryId
from tests.instances import write_series

if TYPE_CHECKING:
    from pathlib import Path

THIS = DeliveryId(PROVE, "1.2.3", "0123456789abcdef", "pacs", 4)
NOW = 1_000_000.0
HOUR = 3600.0
#: pynetdicom leaves the closing of a socket that nobody answers to the garbage collector.
NOBODY_ANSWERS = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
CONFIGURATION = """
[listener]
sender = [{ ae_title = "SENDER" }]
[proof]
resends = 2
hold_s = 0
[delivery]
first_retry_s = 10.0
longest_retry_s = 900.0
give_up_after_h = 72.0
[[destination]]
name = "pacs"
host = "127.0.0.1"
port = 1
ae_title = "PACS"
proof = "storage-commitment"
"""


class Case:
    """Proofs of a node whose last try asked about two objects."""

    def __init__(self, root: Path, text: str = CONFIGURATION) -> None:
        self.receipts = Receipts(root)
        folder = root / THIS.series_uid / THIS.digest
        for path in write_series(folder, 2).paths:
            self.receipts.add(THIS.series_uid, THIS.digest, "pacs", path)
        self.transactions = Transactions(root / "commitments", "LESIONMARK")
        clock = datetime.fromtimestamp(NOW, UTC)
        settings = config.parse(text)
        self.proofs = Proofs(fixed(settings), self.receipts, self.transactions, lambda: clock)

    def report(self, attempt: int, kept: tuple[str, ...], failed: dict[str, int]) -> None:
        asked = DeliveryId(PROVE, THIS.series_uid, THIS.digest, "pacs", attempt)
        opened = self.transactions.open(asked, {"1.5": "1.4", "1.6": "1.4"})
        self.transactions.close(opened, Report(kept, failed))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.mark.parametrize(
    ("kept", "failed", "state", "again_s", "words"),
    [
        (("1.5", "1.6"), {}, "kept", None, "committed to its safekeeping"),
        (("1.5",), {"1.6": 0x0112}, "retrying", None, "0x0112 no such object instance"),
        ((), {"1.5": 0x0112, "1.6": 0x0110}, "retrying", None, "not committed to 2 objects"),
        ((), {"1.5": 0x0110}, "delivered", 60.0, "0x0110 processing failure"),
        ((), {"1.5": 0x0131}, "delivered", 60.0, "0x0131 duplicate transaction uid"),
        ((), {"1.5": 0x0213}, "delivered", 60.0, "0x0213 resource limitation"),
        ((), {"1.5": 0x0FFF}, "delivered", 60.0, "0x0FFF"),
        (("1.5",), {}, "delivered", 60.0, "some are not mentioned"),
        ((), {"1.5": 0x0119}, "failed", None, "0x0119 class instance conflict"),
        ((), {"1.5": 0x0122, "1.6": 0x0112}, "failed", None, "0x0122"),
    ],
)
def test_what_a_report_leads_to(
    case: Case,
    kept: tuple[str, ...],
    failed: dict[str, int],
    state: str,
    again_s: float | None,
    words: str,
) -> None:
    case.report(3, kept, failed)
    outcome = case.proofs.prove(THIS, NOW - 60.0, resends=0)
    assert (outcome["state"], outcome["again_s"]) == (state, again_s)
    assert words in outcome["reason"]


def test_an_unforeseen_error_is_a_look_that_found_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise ValueError("Secret^Person")

    monkeypatch.setattr(case.transactions, "is_committed", fail)
    outcome = case.proofs.prove(THIS, NOW, resends=0)
    assert (outcome["state"], outcome["again_s"]) == ("delivered", 10.0)
    assert outcome["reason"] == "not proved yet: ValueError"


def test_a_late_commitment_counts_whatever_came_after_it(case: Case) -> None:
    case.report(1, ("1.5", "1.6"), {})
    case.report(3, (), {"1.5": 0x0112, "1.6": 0x0112})
    assert case.proofs.prove(THIS, NOW, resends=0)["state"] == "kept"


@NOBODY_ANSWERS
def test_a_failure_from_before_it_was_sent_again_says_nothing(case: Case) -> None:
    case.report(1, (), {"1.5": 0x0122})
    outcome = case.proofs.prove(THIS, NOW, resends=0)
    assert outcome["state"] == "delivered"
    assert "association" in outcome["reason"]  # it asked, but nobody listens


def test_sending_again_has_an_end(case: Case) -> None:
    for resends, state in ((0, "retrying"), (1, "retrying"), (2, "failed")):
        case.report(3, (), {"1.5": 0x0112})
        assert case.proofs.prove(THIS, NOW, resends)["state"] == state


@NOBODY_ANSWERS
def test_a_look_that_is_repeated_after_a_crash_proves_nothing_by_itself(case: Case) -> None:
    whose = (THIS.series_uid, THIS.digest, THIS.destination)
    case.report(3, (), {"1.5": 0x0112})
    states = [case.proofs.prove(THIS, NOW, resends=0)["state"] for _ in range(2)]
    assert states == ["retrying", "delivered"]
    assert len(case.receipts.of(*whose)) == 2
    case.proofs.revoke(THIS)
    assert case.receipts.of(*whose) == []


@NOBODY_ANSWERS
@pytest.mark.parametrize(
    ("tried_s", "state", "again_s"),
    [(0.0, "delivered", 10.0), (300.0, "delivered", 300.0), (HOUR, "delivered", 900.0),
     (72 * HOUR + 1, "failed", None)],
)  # fmt: skip
def test_a_peer_that_cannot_be_asked_is_asked_again_for_as_long_as_it_is_worth_it(
    case: Case, tried_s: float, state: str, again_s: float | None
) -> None:
    outcome = case.proofs.prove(THIS, NOW - tried_s, resends=0)
    assert (outcome["state"], outcome["again_s"]) == (state, again_s)


def test_a_destination_of_which_no_proof_is_wanted_any_more_is_done(tmp_path: Path) -> None:
    case = Case(tmp_path, CONFIGURATION.replace("storage-commitment", "none"))
    outcome = case.proofs.prove(THIS, NOW, resends=0)
    assert (outcome["state"], outcome["again_s"]) == ("delivered", None)


def test_a_disk_that_is_full_is_no_failure_of_the_peer(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(case.transactions, "open", full)
    outcome = case.proofs.prove(THIS, NOW, resends=0)
    assert (outcome["state"], outcome["again_s"]) == ("delivered", 10.0)
    assert "No space left" in outcome["reason"]


def test_tries_of_both_kinds_are_numbered_through() -> None:
    first = DeliveryId(DELIVER, "1.2.3", "00", "pacs", 0)
    second = first.next(PROVE)
    assert str(second) == "prove/1.2.3/00/pacs/1"
    assert DeliveryId.parse(str(second)) == second
    assert second.is_about(first)
    assert not second.is_about(DeliveryId(PROVE, "1.2.3", "00", "other", 1))
