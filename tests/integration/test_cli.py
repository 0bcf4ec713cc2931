"""The command line, as a process."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage

from deploy.processes import LOOPBACK, free_port
from plugin.datasets import phantom
from tests.instances import write_series
from tests.node import Node

if TYPE_CHECKING:
    from tests.pacs import ScriptedPacs

RECORD_KEYS = {
    "series_instance_uid", "sop_instance_uid", "slice_index", "long_axis", "short_axis",
    "long_axis_mm", "short_axis_mm", "box", "slice_range", "lesion_type", "score", "tracking_uid",
}  # fmt: skip


def lesionmark(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "dicom_node.cli", *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)


def test_analyse_finds_the_lesions_of_a_phantom(tmp_path: Path) -> None:
    truths = phantom.make(tmp_path / "phantom")
    bookmarks, report = tmp_path / "b.json", tmp_path / "r.dcm"
    ran = lesionmark("analyse", tmp_path / "phantom", "--json", bookmarks, "--report", report)
    assert ran.returncode == 0, ran.stderr
    records = json.loads(bookmarks.read_text())
    assert len(records) >= len(truths)
    assert all(set(record) >= RECORD_KEYS for record in records)
    assert f"{records[0]['long_axis_mm']:.1f} x {records[0]['short_axis_mm']:.1f}" in ran.stdout
    assert dcmread(report).SOPClassUID == Comprehensive3DSRStorage


def test_analyse_gives_one_result_for_each_series(tmp_path: Path) -> None:
    phantom.make(tmp_path / "both" / "a", phantom.Spec(seed=1))
    phantom.make(tmp_path / "both" / "b", phantom.Spec(seed=2))
    ran = lesionmark(
        "analyse", tmp_path / "both", "--json", tmp_path / "b.json", "--report", tmp_path / "r.dcm"
    )
    assert ran.returncode == 0, ran.stderr
    records = json.loads((tmp_path / "b.json").read_text())
    series = {record["series_instance_uid"] for record in records}
    reports = [dcmread(tmp_path / f"r-{number}.dcm") for number in (1, 2)]
    assert len(series) == len({report.SOPInstanceUID for report in reports}) == 2


def test_analyse_names_what_it_cannot_do(tmp_path: Path) -> None:
    few = write_series(tmp_path / "few", 2)
    ran = lesionmark("analyse", tmp_path / "few")
    assert ran.returncode == 1
    assert f"series {few.series_uid}: " in ran.stderr
    absent = lesionmark("analyse", tmp_path / "absent")
    assert (absent.returncode, "there is no such folder" in absent.stderr) == (1, True)
    (tmp_path / "empty").mkdir()
    empty = lesionmark("analyse", tmp_path / "empty")
    assert (empty.returncode, "holds no DICOM instances" in empty.stderr) == (1, True)


def test_a_wrong_configuration_ends_with_2_and_names_the_key(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[listener]\nport = 0\n")
    for command in ("check-config", "serve", "status", "retry"):
        ran = lesionmark("--config", config, command)
        assert ran.returncode == 2
        assert "listener.port" in ran.stderr
        assert "greater than or equal to 1" in ran.stderr


def test_a_wrong_key_of_the_plugin_is_named(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "config.toml").read_text()
    wrong = {
        "treshold = 0.5": "plugin.treshold: there is no such key",
        "threshold = 5": "plugin.threshold: must be a number from 0 to 1 (it is 5)",
        'module = "plugin.absent"': "plugin.module: No module named 'plugin.absent'",
    }
    for line, complaint in wrong.items():
        config = tmp_path / "config.toml"
        key = "module" if line.startswith("module") else "threshold"
        config.write_text(re.sub(rf"^{key} = \S+", line, shipped, flags=re.MULTILINE))
        ran = lesionmark("--config", config, "check-config")
        assert ran.returncode == 2
        assert complaint in ran.stderr


def test_a_node_without_its_page_receives_nobody(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        node = Node(tmp_path, [("pacs", "PACS", free_port())], web={"port": port})
        ran = node.call("serve")
    assert ran.returncode == 1
    assert f"web.port: {LOOPBACK}:{port}: Address already in use" in ran.stderr
    assert "LM101" not in ran.stderr


def test_send_and_echo(tmp_path: Path, scripted: ScriptedPacs) -> None:
    scripted.start()
    write_series(tmp_path / "ct", 3)
    (tmp_path / "ct" / "notes.txt").write_text("no DICOM")
    peer = ["--host", LOOPBACK, "--port", str(scripted.port), "--called", scripted.ae_title]
    assert lesionmark("echo", *peer).returncode == 0
    sent = lesionmark("send", tmp_path / "ct", *peer)
    assert sent.returncode == 0
    assert "notes.txt: not a DICOM instance" in sent.stderr
    assert len(scripted.kept) == 3
    scripted.answers = [0xA700]
    refused = lesionmark("send", tmp_path / "ct", *peer)
    assert refused.returncode == 1
    assert "0xA700" in refused.stdout


def test_status_says_where_a_series_stands(node: Node, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 4)
    node.send(series.paths)
    node.wait_for(series, "delivered")
    answer = node.call("status", series.series_uid, "--json")
    [found] = json.loads(answer.stdout)
    assert found["series_instance_uid"] == series.series_uid
    assert found["state"] == "delivered"
    assert found["deliveries"] == [
        {"destination": "pacs", "state": "delivered", "reason": "1 object"}
    ]
    assert "delivered" in node.call("status").stdout
    unknown = node.call("retry", "1.2.3")
    assert (unknown.returncode, "series 1.2.3: never received" in unknown.stderr) == (1, True)
