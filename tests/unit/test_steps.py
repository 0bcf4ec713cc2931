"""What the steps come to, as far as no peer is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_node import config
from dicom_node.completion import Verdict
from dicom_node.live import fixed
from dicom_node.receipts import Receipts
from dicom_node.revisions import Revisions
from dicom_node.spool import Shelf, Spool
from dicom_node.steps import Steps
from plugin import Analysis, Kind, Product
from tests.instances import instance

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_000_000.0
CONFIGURATION = """
[listener]
sender = [{ ae_title = "SENDER" }]
[[destination]]
name = "pacs"
host = "127.0.0.1"
port = 1
ae_title = "PACS"
objects = ["report", "key-images"]
"""


class Whole:
    """Takes every series for whole."""

    def judge(self, _: str, __: float) -> Verdict:
        return Verdict(whole=True, reason="quiet")


class World:
    """Steps of a node that holds one series of one instance, frozen and not analysed."""

    def __init__(self, root: Path) -> None:
        self.spool, self.revisions = Spool(root / "spool"), Revisions(root / "reports")
        self.receipts = Receipts(root / "reports")
        self.spool.add(Shelf.SERIES, "1.2", "1.2.1", b"")
        self.revision = self.revisions.freeze("1.2", ["1.2.1"])
        self.steps = Steps(
            fixed(config.parse(CONFIGURATION)),
            self.spool,
            self.revisions,
            self.receipts,
            cast("Any", Whole()),
            cast("Any", None),
            lambda: datetime.fromtimestamp(NOW, UTC),
        )

    def analyse(self) -> None:
        report = Product(Kind.REPORT, instance("1.2.9", "1.2", 1))
        self.revisions.save(self.revision, Analysis((), (report,)), "fake-1")

    def send(self) -> tuple[str, float | None, str]:
        outcome = self.steps.send("1.2", self.revision.digest, "pacs", since=NOW)
        return outcome["state"], outcome["again_s"], outcome["reason"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_wait_for_an_earlier_revision_grows_to_a_minute(world: World) -> None:
    waits = [world.steps.postpone("1.2", attempt)["again_s"] for attempt in (0, 1, 5, 9999)]
    assert waits == [2.0, 4.0, 64.0, 64.0]


def test_a_refused_revision_that_comes_again_is_looked_at_anew(world: World) -> None:
    digest = world.revision.digest
    world.revisions.settle("1.2", digest)
    assert world.steps.look("1.2") == {"digest": digest, "again_s": None}
    world.analyse()
    world.revisions.settle("1.2", digest)
    assert world.steps.look("1.2") == {"digest": None, "again_s": None}


def test_objects_that_are_not_there_are_not_delivered(world: World) -> None:
    assert world.send() == ("retrying", 10.0, "the objects are not there")


def test_an_unforeseen_error_is_a_try_that_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[Path]:
        raise ValueError("Secret^Person")

    world.analyse()
    monkeypatch.setattr(world.receipts, "of", fail)
    assert world.send() == ("retrying", 10.0, "ValueError")
