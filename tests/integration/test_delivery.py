"""Destinations that are down, refuse, or break off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.instances import write_series
from tests.node import Node, eventually
from tests.pacs import ABORT, STORAGE, ScriptedPacs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.instances import WrittenSeries

OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
DUPLICATE = 0x0111
COERCED = 0xB000


def to(pacs: ScriptedPacs) -> list[tuple[str, str, int]]:
    return [("pacs", pacs.ae_title, pacs.port)]


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        ([OUT_OF_RESOURCES, OUT_OF_RESOURCES], 3),
        ([ABORT], 2),
        ([ABORT, OUT_OF_RESOURCES, ABORT], 4),
        ([DUPLICATE], 1),
        ([COERCED], 1),
    ],
)
def test_the_report_arrives_in_the_end(
    tmp_path: Path, scripted: ScriptedPacs, answers: list[int], requests: int
) -> None:
    scripted.answers = list(answers)
    scripted.start()
    with Node(tmp_path / "node", to(scripted)) as node:
        series = write_series(tmp_path / "ct", 4)
        node.send(series.paths)
        node.wait_for(series, "delivered")
    assert len(scripted.requests) == requests
    assert len({str(request.SOPInstanceUID) for request in scripted.requests}) == 1


def test_a_destination_that_is_down_gets_its_report_later(
    tmp_path: Path, scripted: ScriptedPacs
) -> None:
    with Node(tmp_path / "node", to(scripted)) as node:
        series = write_series(tmp_path / "ct", 4)
        node.send(series.paths)
        eventually(lambda: _tries(node, series) >= 3, "three tries")
        assert node.states(series) == ["delivering"]
        scripted.start()
        node.wait_for(series, "delivered")
    assert len(scripted.requests) == 1


def test_a_refusal_is_final_until_a_person_retries(tmp_path: Path, scripted: ScriptedPacs) -> None:
    scripted.answers = [CANNOT_UNDERSTAND]
    scripted.start()
    with Node(tmp_path / "node", to(scripted)) as node:
        series = write_series(tmp_path / "ct", 4)
        node.send(series.paths)
        node.wait_for(series, "failed")
        assert "0xC000" in node.status(series)[0].deliveries[0].reason
        assert "delivery again" in node.call("retry").stdout
        node.wait_for(series, "delivered")
    assert len(scripted.kept) == 1


def test_a_peer_that_is_not_set_up_yet_gets_its_report_without_a_person_here(
    tmp_path: Path,
) -> None:
    pacs = ScriptedPacs(sop_classes=[])
    pacs.start()
    often = {"longest_retry_s": 1.0}
    with Node(tmp_path / "node", to(pacs), delivery=often) as node:
        series = write_series(tmp_path / "ct", 4)
        node.send(series.paths)
        eventually(lambda: _tries(node, series) == 1, "the second try being scheduled")
        assert node.states(series) == ["delivering"]
        assert "accepts none of the SOP classes" in node.status(series)[0].deliveries[0].reason
        pacs.stop()
        pacs.sop_classes = STORAGE
        pacs.start()
        node.wait_for(series, "delivered")
    pacs.stop()


def test_trying_ends_after_the_configured_time(tmp_path: Path, scripted: ScriptedPacs) -> None:
    patience = {"give_up_after_h": 1.0 / 3600}
    with Node(tmp_path / "node", to(scripted), delivery=patience) as node:
        series = write_series(tmp_path / "ct", 4)
        node.send(series.paths)
        node.wait_for(series, "failed")
        scripted.start()
        node.call("retry")
        node.wait_for(series, "delivered")


def test_a_waiting_delivery_can_be_hurried(tmp_path: Path, scripted: ScriptedPacs) -> None:
    slow = {"first_retry_s": 600.0, "longest_retry_s": 600.0}
    with Node(tmp_path / "node", to(scripted), delivery=slow) as node:
        series = write_series(tmp_path / "ct", 4)
        node.send(series.paths)
        eventually(lambda: _tries(node, series) == 1, "the second try being scheduled")
        scripted.start()
        assert "next try of delivery now" in node.call("retry").stdout
        node.wait_for(series, "delivered")


def test_one_destination_does_not_hold_up_another(tmp_path: Path, scripted: ScriptedPacs) -> None:
    scripted.start()
    down = ("down", "NOBODY", 1)
    with Node(tmp_path / "node", [down, *to(scripted)]) as node:
        series = write_series(tmp_path / "ct", 4)
        node.send(series.paths)
        eventually(lambda: len(scripted.kept) == 1, "the report at the one that is up")
        eventually(lambda: _tries(node, series) >= 1, "the other being tried again")
        assert node.states(series) == ["delivering"]


def _tries(node: Node, series: WrittenSeries) -> int:
    """How often deliveries have been tried again, in all."""
    return sum(d.id.attempt for status in node.status(series) for d in status.deliveries)
