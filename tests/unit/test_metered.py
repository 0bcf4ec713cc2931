from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from dicom_node import meters
from dicom_node.metered import MeteredSteps
from dicom_node.states import DeliveryState
from dicom_node.steps import Steps
from dicom_node.work import Outcome

if TYPE_CHECKING:
    import pytest

SENT = Outcome(state=DeliveryState.DELIVERED.value, reason="1 object", at=100.0, again_s=None)
COUNT = "lesionmark_turnaround_seconds_count"


def observed(destination: str) -> float | None:
    return meters.REGISTRY.get_sample_value(COUNT, {"destination": destination})


def test_what_was_delivered_stays_so_when_the_spool_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> float:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Steps, "send", lambda *_: SENT)
    monkeypatch.setattr(Steps, "newest", fail)
    steps = object.__new__(MeteredSteps)
    assert steps.send("1.2", "digest", "unreadable", 0.0) == SENT
    assert not observed("unreadable")
    monkeypatch.setattr(Steps, "newest", lambda *_: 101.0)
    assert steps.send("1.2", "digest", "late", 0.0) == SENT
    assert observed("late") == 1
    total = meters.REGISTRY.get_sample_value(COUNT.replace("count", "sum"), {"destination": "late"})
    assert total == 0
