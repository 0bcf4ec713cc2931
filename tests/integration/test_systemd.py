"""The installed unit under a real systemd, in a container that shares this machine's loopback."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing
from tests.instances import write_series
from tests.machine import Machine, boot
from tests.node import Node, eventually
from tests.peers import answer_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pacs import ScriptedPacs

#: Highest exposure of the unit by `systemd-analyze security`, 0 to 10.
_EXPOSURE = 2.0


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if shutil.which("systemd-nspawn") is None:
        missing("systemd-container")
    try:
        with boot(tmp_path_factory.mktemp("machine")) as booted:
            booted.says("/opt/lesionmark/bin/lesionmark", "install")
            yield booted
    except OSError as error:
        pytest.skip(f"no container with systemd can be had here: {error}")


@pytest.fixture
def service(machine: Machine, tmp_path: Path, scripted: ScriptedPacs) -> Iterator[Node]:
    """The installed service, configured but not started; it shares our loopback."""
    scripted.start()
    node = Node(
        tmp_path / "node",
        [("pacs", scripted.ae_title, scripted.port)],
        node={"state_dir": "/var/lib/lesionmark", "analysis_limit_s": 2.0, "stop_within_s": 3.0},
        plugin={"gate": "/var/lib/lesionmark/gate"},
    )
    (machine.root / "etc/lesionmark/config.toml").write_text(node.config.read_text())
    yield node
    machine.run("systemctl", "stop", "lesionmark")
    for path in (machine.root / "var/lib/lesionmark").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_the_unit_is_right_and_hardened(machine: Machine) -> None:
    complaints = machine.run("systemd-analyze", "verify", "lesionmark.service")
    assert (complaints.returncode, complaints.stdout + complaints.stderr) == (0, "")
    verdict = machine.says("systemd-analyze", "security", "--no-pager", "lesionmark.service")
    found = re.search(r"exposure level for lesionmark.service: ([0-9.]+)", verdict)
    assert found is not None
    assert float(found[1]) <= _EXPOSURE


def test_started_means_ready_and_runs_as_its_own_user(
    machine: Machine, service: Node, scripted: ScriptedPacs, tmp_path: Path
) -> None:
    (machine.root / "etc/lesionmark/secrets/node.key").write_text("of the node")
    machine.says("systemctl", "start", "lesionmark")
    assert service.answers()
    credential = "/run/credentials/lesionmark.service/secrets_node.key"
    assert machine.says("runuser", "-u", "lesionmark", "--", "cat", credential) == "of the node"
    assert _property(machine, "User") == "lesionmark"
    assert machine.says("ps", "-o", "user=", "-p", _property(machine, "MainPID")) == "lesionmark"
    service.send(write_series(tmp_path / "ct", 4).paths)
    eventually(lambda: scripted.kept, "a report")
    assert _owners(machine) == {"lesionmark"}


def test_an_analysis_that_hangs_is_killed_and_its_series_is_not_lost(
    machine: Machine, service: Node, scripted: ScriptedPacs, tmp_path: Path
) -> None:
    _set(machine, "WatchdogSec=3")
    gate = machine.root / "var/lib/lesionmark/gate"
    machine.says("systemctl", "start", "lesionmark")
    gate.touch()
    service.send(write_series(tmp_path / "ct", 4).paths)
    eventually(lambda: int(_property(machine, "NRestarts")) > 0, "a restart by the watchdog")
    gate.unlink()
    eventually(lambda: scripted.kept, "a report")
    journal = _journal(machine)
    assert "LM006 no sign of life" in journal
    assert "Watchdog timeout" in journal
    assert len(scripted.kept) == 1


def test_a_reload_is_known_to_the_service_manager_and_a_wrong_file_changes_nothing(
    machine: Machine, service: Node
) -> None:
    config = machine.root / "etc/lesionmark/config.toml"
    right = config.read_text()
    machine.says("systemctl", "start", "lesionmark")
    process = _property(machine, "MainPID")
    config.write_text(right.replace('"ORTHANC"', '"NEWCOMER"'))
    machine.says("systemctl", "reload", "lesionmark")
    assert answer_to(service.port, "NEWCOMER") is None
    config.write_text(right.replace('"ORTHANC"', "104"))
    done = machine.run("systemctl", "reload", "lesionmark")
    assert done.returncode != 0
    assert answer_to(service.port, "NEWCOMER") is None
    assert _property(machine, "ActiveState") == "active"
    assert _property(machine, "MainPID") == process
    assert "listener.sender[2].ae_title" in _journal(machine)
    taken = json.loads(
        _journal(machine, "LESIONMARK_EVENT=LM007", "--output=json").splitlines()[-1]
    )
    assert (taken["PRIORITY"], taken["_PID"]) == ("6", process)
    assert taken["MESSAGE"] == "LM007 configuration taken over"


def test_a_stop_under_load_is_orderly_and_loses_nothing(
    machine: Machine, service: Node, scripted: ScriptedPacs, tmp_path: Path
) -> None:
    gate = machine.root / "var/lib/lesionmark/gate"
    machine.says("systemctl", "start", "lesionmark")
    gate.touch()
    service.send(write_series(tmp_path / "ct", 4).paths)
    machine.says("systemctl", "stop", "lesionmark")
    assert _property(machine, "Result") == "success"
    gate.unlink()
    machine.says("systemctl", "start", "lesionmark")
    eventually(lambda: scripted.kept, "a report")
    assert len(scripted.kept) == 1


def test_uninstall_leaves_data_and_configuration(machine: Machine, service: Node) -> None:
    machine.says("systemctl", "start", "lesionmark")
    machine.says("/opt/lesionmark/bin/lesionmark", "uninstall")
    assert not service.answers()
    assert machine.run("systemctl", "cat", "lesionmark").returncode != 0
    assert (machine.root / "etc/lesionmark/config.toml").exists()
    assert (machine.root / "var/lib/lesionmark/work.sqlite").exists()


def _property(machine: Machine, name: str) -> str:
    return machine.says("systemctl", "show", "--value", f"--property={name}", "lesionmark")


def _journal(machine: Machine, *wanted: str) -> str:
    return machine.says("journalctl", "--unit", "lesionmark", "--no-pager", *wanted)


def _owners(machine: Machine) -> set[str]:
    return set(machine.says("stat", "--format=%U", "/var/lib/lesionmark/spool").split())


def _set(machine: Machine, line: str) -> None:
    """Change the service as an administrator does, with a drop-in."""
    drop_in = machine.root / "etc/systemd/system/lesionmark.service.d/test.conf"
    drop_in.write_text(f"[Service]\n{line}\n")
    machine.says("systemctl", "daemon-reload")
