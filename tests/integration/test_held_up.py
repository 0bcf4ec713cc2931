"""What is slow or late holds up nothing else, and is not forgotten."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import pytest

from dicom_node.spool import Shelf
from dicom_node.statuses import SUCCESS
from tests.instances import spool_of, write_series
from tests.node import Node, eventually
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pynetdicom.events import Event as Request

#: Of retention.
KEEP_S = 1.0
#: Of one destination at a time.
PARALLEL = 2
SET_ASIDE = "1.2.3"


class StalledPacs(ScriptedPacs):
    """Takes a request and does not answer it before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = Event()
        #: Study Instance UIDs of the requests that it has had.
        self.asked: list[str] = []

    def _handle_store(self, event: Request) -> int:
        self.asked.append(event.dataset.StudyInstanceUID)
        self.may_answer.wait(30)
        return SUCCESS


@dataclass(frozen=True)
class World:
    node: Node
    stalled: StalledPacs
    healthy: ScriptedPacs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, stalled, healthy = tmp_path_factory.mktemp("node"), StalledPacs(), ScriptedPacs()
    stalled.start()
    healthy.start()
    to = [(name, pacs.ae_title, pacs.port) for name, pacs in (("a", stalled), ("b", healthy))]
    tables = {
        "delivery": {"parallel": PARALLEL, "timeout_s": 30.0},
        "retention": {"keep_h": KEEP_S / 3600},
        "completion": {"quiet_period_s": 0.3},
    }
    _set_aside(folder)
    with Node(folder, to, **tables) as node:
        yield World(node, stalled, healthy)
        stalled.may_answer.set()
    stalled.stop()
    healthy.stop()


def _set_aside(node_folder: Path) -> None:
    """Two instances, of which one comes when retention has begun for the other."""
    spool = spool_of(node_folder)
    for uid, stored_at in (("1.1", 0.0), ("1.2", time.time() + 5.0)):
        spool.add(Shelf.ASIDE, SET_ASIDE, uid, b"")
        path = spool.held(SET_ASIDE, Shelf.ASIDE)[-1].path
        os.utime(path, (stored_at, stored_at))


def test_a_destination_that_stalls_holds_up_no_other(world: World, tmp_path: Path) -> None:
    series = [write_series(tmp_path / str(n), 3) for n in range(PARALLEL + 2)]
    for one in series:
        world.node.send(one.paths)
    reports = [lambda uid=one.study_uid: world.healthy.reports(uid) for one in series]
    eventually(lambda: all(report() for report in reports), "every report", limit_s=15)
    assert len(world.stalled.asked) == PARALLEL
    world.stalled.may_answer.set()
    for one in series:
        world.node.wait_for(one, "delivered")


def test_what_was_set_aside_later_is_deleted_later(world: World) -> None:
    spool = spool_of(world.node.folder)

    def held() -> list[str]:
        return [held.sop_instance_uid for held in spool.held(SET_ASIDE, Shelf.ASIDE)]

    eventually(lambda: "1.1" not in held(), "the first deletion", limit_s=10)
    eventually(lambda: not held(), "the second deletion", limit_s=15)
