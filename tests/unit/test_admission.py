"""Who is let in; one line for each rule."""

from __future__ import annotations

import pytest

from dicom_node.admission import Admission, Rejection, Request
from dicom_node.config_tables import Listener, Sender
from dicom_node.live import fixed

SETTINGS = Listener(
    sender=(
        Sender.model_validate({"ae_title": "SCANNER", "addresses": ["10.1.2.0/24", "10.9.9.9"]}),
        Sender.model_validate({"ae_title": "SCANNER", "addresses": ["fd00::/8"]}),
        Sender.model_validate({"ae_title": "LOCAL"}),
    ),
    max_associations_per_address=2,
)


def request(calling: str, address: str, called: str = "LESIONMARK", already: int = 0) -> Request:
    return Request(calling, called, address, already)


@pytest.mark.parametrize(
    ("asked", "rejection", "reason"),
    [
        (request("SCANNER", "10.1.2.77"), None, ""),
        (request("SCANNER", "10.9.9.9"), None, ""),
        (request("SCANNER", "fd12::1"), None, ""),
        (request("SCANNER", "::ffff:10.1.2.77"), None, ""),
        (request("SCANNER", "fe80::1%eth0"), Rejection.CALLING_AE_TITLE, "the address is not"),
        (request("SCANNER", "10.1.3.1"), Rejection.CALLING_AE_TITLE, "the address is not"),
        (request("SCANNER", "127.0.0.1"), Rejection.CALLING_AE_TITLE, "the address is not"),
        (request("LOCAL", "127.0.0.1"), None, ""),
        (request("LOCAL", "::1"), None, ""),
        (request("LOCAL", "10.1.2.77"), Rejection.CALLING_AE_TITLE, "the address is not"),
        (request("NOBODY", "10.1.2.77"), Rejection.CALLING_AE_TITLE, "no listener.sender"),
        (request("scanner", "10.1.2.77"), Rejection.CALLING_AE_TITLE, "no listener.sender"),
        (request("SCANNER", "10.1.2.77", "OTHER"), Rejection.CALLED_AE_TITLE, "calls 'OTHER'"),
        (request("SCANNER", "10.1.2.77", already=1), None, ""),
        (request("SCANNER", "10.1.2.77", already=2), Rejection.LIMIT, "2 associations are open"),
    ],
)
def test_a_title_is_let_in_from_its_addresses(
    asked: Request, rejection: Rejection | None, reason: str
) -> None:
    refusal = Admission(fixed(SETTINGS), lambda: False).judge(asked)
    assert (refusal.rejection if refusal else None) is rejection
    assert reason in (refusal.reason if refusal else "")


@pytest.mark.parametrize(
    ("address", "known"),
    [("10.1.2.1", True), ("127.0.0.9", True), ("fd00::1", True), ("10.1.3.1", False)],
)
def test_an_address_of_no_sender_is_not_listened_to(address: str, known: bool) -> None:
    assert Admission(fixed(SETTINGS), lambda: False).knows(address) is known


def test_a_full_disk_rejects_for_a_while_whoever_may_send_otherwise() -> None:
    admission = Admission(fixed(SETTINGS), lambda: True)
    refusal = admission.judge(request("SCANNER", "10.1.2.77"))
    assert refusal is not None
    assert refusal.rejection is Rejection.CONGESTION
    stranger = admission.judge(request("NOBODY", "10.1.2.77"))
    assert stranger is not None
    assert stranger.rejection is Rejection.CALLING_AE_TITLE
