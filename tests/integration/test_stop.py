"""SIGTERM, and two nodes on one folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.instances import write_series
from tests.node import Node

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pacs import ScriptedPacs


def test_a_stop_in_mid_analysis_is_quick_and_loses_nothing(
    tmp_path: Path, scripted: ScriptedPacs
) -> None:
    scripted.start()
    series = write_series(tmp_path / "ct", 4)
    to = [("pacs", scripted.ae_title, scripted.port)]
    with Node(tmp_path / "node", to, node={"stop_within_s": 2.0}) as node:
        node.gate.touch()
        node.send(series.paths)
        node.wait_for(series, "analysing")
        before = time.monotonic()
        node.process.stop(limit_s=30)
        assert node.process.returncode == 0
        assert time.monotonic() - before < 15
        node.gate.unlink()
        node.process.start()
        node.wait_for(series, "delivered")
    assert len(scripted.kept) == 1


def test_a_second_node_on_the_same_folder_does_not_start(tmp_path: Path) -> None:
    with Node(tmp_path / "node", [("pacs", "NOBODY", 1)]) as node:
        second = node.call("serve")
    assert second.returncode == 1
    assert "node.state_dir" in second.stderr
    assert "another node is running on it" in second.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with Node(tmp_path / "first", [("pacs", "NOBODY", 1)]) as node:
        port = {"port": node.port}
        second = Node(tmp_path / "second", [("pacs", "NOBODY", 1)], listener=port).call("serve")
    assert second.returncode == 1
    assert f"listener.port: 127.0.0.1:{node.port}: Address already in use" in second.stderr
