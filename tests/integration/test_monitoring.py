"""A node of several processes as monitors see it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom.uid import generate_uid

from deploy.processes import free_port
from tests.instances import write_series
from tests.integration.test_crew import children
from tests.integration.test_discretion import assert_discreet, secret_series
from tests.integration.test_reload import change, hang_up
from tests.node import SENDER, Node, eventually
from tests.pacs import ScriptedPacs
from tests.peers import answer_to
from tests.watch import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Analyses that take longer count as stuck, s.
LIMIT_S = 3.0
_WATCH = Path(__file__).parents[2] / "deploy" / "watch"


class Watched:
    """A node with two listeners, its PACS and its monitor."""

    def __init__(self, node: Node, pacs: ScriptedPacs, port: int) -> None:
        self.node, self.pacs, self.monitor = node, pacs, Monitor(port)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    pacs, port = ScriptedPacs(), free_port()
    pacs.start()
    node = Node(
        tmp_path_factory.mktemp("watched"),
        [("pacs", pacs.ae_title, pacs.port)],
        node={"analysis_limit_s": LIMIT_S},
        listener={"processes": 2},
        web={"port": port},
    )
    with node:
        yield Watched(node, pacs, port)
    pacs.stop()


def test_what_every_process_counts_is_added_up(watched: Watched, tmp_path: Path) -> None:
    node, monitor = watched.node, watched.monitor
    several = [write_series(tmp_path / str(number), 4) for number in range(6)]
    for series in several:
        node.send(series.paths)
    for series in several:
        node.wait_for(series, "delivered")
    sent = sum(len(path.read_bytes()) for series in several for path in series.paths)
    assert answer_to(node.port, "STRANGER") is not None
    eventually(lambda: monitor.value("lesionmark_rejections_total") == 1, "reports", limit_s=10)
    assert monitor.value("lesionmark_instances_total", status="success") == 24
    assert 0.7 * sent < monitor.value("lesionmark_received_bytes_total") < sent
    assert monitor.value("lesionmark_store_seconds_count") == 24
    # One for each series, and those that asked whether the node answers.
    assert monitor.value("lesionmark_associations_total") >= 6
    assert monitor.value("lesionmark_associations_open") == 0
    assert monitor.value("lesionmark_rejections_total", reason="calling_ae_title") == 1
    assert abs(time.time() - monitor.value("lesionmark_last_instance_timestamp_seconds")) < 120
    assert monitor.value("lesionmark_analyses_total", state="delivering") == 6
    assert monitor.value("lesionmark_deliveries_total", state="delivered", destination="pacs") == 6
    assert monitor.value("lesionmark_turnaround_seconds_count", destination="pacs") == 6
    assert monitor.value("lesionmark_step_seconds_count", step="send") == 6
    assert monitor.value("lesionmark_series", state="delivered") == 6


def test_no_counter_falls_when_a_process_ends(watched: Watched, tmp_path: Path) -> None:
    node, monitor = watched.node, watched.monitor
    node.send(write_series(tmp_path / "ct", 4).paths)
    association = node.associate()
    eventually(lambda: monitor.value("lesionmark_associations_open") == 1, "an open association")
    before = monitor.value("lesionmark_instances_total", status="success")
    assert before >= 4
    for pid in children(node):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: monitor.value("lesionmark_associations_open") == 0, "the end of it")
    assert monitor.value("lesionmark_instances_total", status="success") == before
    eventually(node.answers, "new listeners")
    association.abort()


def test_what_waits_fails_and_is_put_aside_is_seen(watched: Watched, tmp_path: Path) -> None:
    node, monitor = watched.node, watched.monitor
    failing, small = write_series(tmp_path / "13", 13), write_series(tmp_path / "2", 2)
    watched.pacs.stop()
    waiting = write_series(tmp_path / "4", 4)
    for series in (failing, small, waiting):
        node.send(series.paths)
    node.wait_for(failing, "failed")
    node.wait_for(small, "refused")
    node.wait_for(waiting, "delivering")
    node.process.require_running()
    assert monitor.value("lesionmark_series", state="failed") == 1
    assert monitor.value("lesionmark_analyses_total", state="refused") == 1
    eventually(lambda: monitor.value("lesionmark_reports", state="retrying"), "a failed try")
    assert monitor.value("lesionmark_oldest_series_seconds", state="delivering") > 0
    assert monitor.value("lesionmark_oldest_series_seconds", state="queued") == 0
    watched.pacs.start()
    node.wait_for(waiting, "delivered")
    assert monitor.value("lesionmark_deliveries_total", state="retrying") >= 1
    assert monitor.value("lesionmark_reports") == 0


def test_a_scrape_names_nobody(watched: Watched, tmp_path: Path) -> None:
    series = secret_series(tmp_path / "ct", 4)
    watched.node.send(series.paths)
    watched.node.wait_for(series, "delivered")
    text = watched.monitor.text()
    assert_discreet(text)
    assert re.search(r"\d+(\.\d+){4,}", generate_uid())
    assert re.search(r"\d+(\.\d+){4,}", text) is None
    assert SENDER not in text


def test_healthy_means_ready(watched: Watched) -> None:
    alive = {"analysis": "ok", "work queue": "ok", "listener": "ok"}
    assert watched.monitor.health("live") == (200, alive)
    assert watched.monitor.health("ready") == (200, alive | {"database": "ok", "disk": "ok"})


def test_a_disk_under_its_reserve_is_not_ready_but_alive(watched: Watched) -> None:
    change(watched.node, "disk_reserve_mb = 0", "disk_reserve_mb = 900000000")
    hang_up(watched.node)
    status, checks = watched.monitor.health("ready")
    assert (status, checks["disk"]) == (503, "under listener.disk_reserve_mb")
    assert watched.monitor.health("live")[0] == 200
    free = watched.monitor.value("lesionmark_disk_free_bytes")
    assert 0 < free < watched.monitor.value("lesionmark_disk_reserve_bytes")
    change(watched.node, "disk_reserve_mb = 900000000", "disk_reserve_mb = 0")
    hang_up(watched.node)
    assert watched.monitor.health("ready")[0] == 200


def test_an_analysis_that_hangs_is_no_life(watched: Watched, tmp_path: Path) -> None:
    watched.node.gate.touch()
    series = write_series(tmp_path / "ct", 4)
    watched.node.send(series.paths)
    eventually(lambda: watched.monitor.health("live")[0] == 503, "a stuck analysis")
    assert watched.monitor.health("live")[1]["analysis"] == "stuck"
    assert watched.monitor.value("lesionmark_stuck") == 1
    assert series.series_uid not in str(watched.monitor.health("live"))
    watched.node.gate.unlink()
    watched.node.wait_for(series, "delivered")
    assert watched.monitor.health("live")[0] == 200
    assert watched.monitor.value("lesionmark_stuck") == 0
