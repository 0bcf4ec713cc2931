from __future__ import annotations

from dicom_node.ledger import Ledger
from dicom_node.standing import DeliveryStatus, SeriesStatus
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import DELIVER, AnalysisId, DeliveryId


class Written(Ledger):
    """Four series, the second of which failed."""

    def all(self) -> list[SeriesStatus]:
        return [
            _status(f"1.{number}", "failed" if number == 2 else "delivered")
            for number in (1, 2, 3, 4)
        ]

    def of(self, series_uid: str) -> list[SeriesStatus]:
        return [status for status in self.all() if status.series_uid == series_uid]


def _status(series_uid: str, state: str) -> SeriesStatus:
    delivered = state == "delivered"
    tried = DeliveryId(DELIVER, series_uid, "abc", "pacs", 0)
    delivery = DeliveryStatus(tried, DeliveryState(state), "", settled=delivered)
    analysis = AnalysisId(series_uid, "abc", 0)
    return SeriesStatus(series_uid, analysis, SeriesState(state), "", 0.0, (delivery,))


class _NoQueue:
    def list_workflows(self, **_: object) -> list[object]:
        raise AssertionError("nobody asks")


def ledger() -> Written:
    return Written(_NoQueue())  # type: ignore[arg-type]


def test_the_newest_that_are_done_and_all_that_are_not() -> None:
    shown = [[status.series_uid for status in ledger().newest(count)] for count in (0, 1, 2, 9)]
    assert shown == [
        ["1.2"],
        ["1.2", "1.4"],
        ["1.2", "1.3", "1.4"],
        ["1.1", "1.2", "1.3", "1.4"],
    ]


def test_a_series_is_settled_when_nothing_about_it_waits() -> None:
    assert ledger().settled("1.1") == ["abc"]
    assert ledger().settled("1.2") is None
    assert ledger().settled("1.9") == []
