"""`lesionmark doctor` on broken set-ups: each is named, with what to do about it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydicom.pixels import get_decoder
from pydicom.uid import HTJ2K, CTImageStorage
from pynetdicom import AE

from deploy.processes import LOOPBACK, free_port
from dicom_node.doctor.check import Result
from dicom_node.sop_classes import VERIFICATION
from plugin.detector import checkpoint
from tests.certificates import Authority, expired
from tests.doctor_cases import SENDERS, ask
from tests.node import Node
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.local_pacs import OrthancPacs
    from tests.doctor_cases import Said


class Setup:
    """A configuration that no node runs with, and what doctor says about it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def ask(self, wishes: dict[str, Any] | None = None, **tables: dict[str, Any]) -> Said:
        """`wishes` are more keys of the only destination."""
        to = [("pacs", "SCRIPTED", free_port())]
        node = Node(self.folder, to, wishes={"pacs": wishes or {}}, **tables)
        return self.ask_with(node.config)

    def ask_with(self, config: Path) -> Said:
        said = ask(self._capsys, config, "--no-loop")
        assert said.status == 1
        return said


@pytest.fixture
def setup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Setup:
    return Setup(tmp_path / "node", capsys)


def expect(said: Said, name: str, seen: str, advice: str) -> None:
    """The check failed, and says this."""
    check = said.checks[name]
    assert check.result is Result.FAILED, check
    assert seen in check.seen
    assert advice in check.advice


def test_a_wrong_key(setup: Setup) -> None:
    node = Node(setup.folder, [("pacs", "SCRIPTED", 104)])
    node.config.write_text(node.config.read_text().replace("[delivery]", "[deliveries]"))
    said = setup.ask_with(node.config)
    expect(said, "configuration", "deliveries: there is no such key", f"correct {node.config}")
    assert len(said.checks) == 1


def test_a_port_that_another_program_has(setup: Setup, orthanc: OrthancPacs) -> None:
    said = setup.ask(listener={"port": orthanc.http_port})
    expect(said, f"port {orthanc.http_port}", "taken by another program (Orthanc", "listener.port")
    assert said.checks["node"].result is Result.SKIPPED


def test_another_node_has_the_port(setup: Setup, orthanc: OrthancPacs) -> None:
    said = setup.ask(listener={"port": orthanc.dicom_port})
    expect(said, f"port {orthanc.dicom_port}", "Called AE title not recognised", "stop that")


def test_a_page_whose_port_another_program_has(setup: Setup, orthanc: OrthancPacs) -> None:
    said = setup.ask(web={"port": orthanc.http_port})
    expect(said, "status page", "is taken by another program (Orthanc", "another web.port")


def test_a_state_folder_that_cannot_be_written(setup: Setup) -> None:
    said = setup.ask(node={"state_dir": "/sys/lesionmark"})
    expect(said, "state folder", "/sys: cannot be written to", "node.state_dir")


def test_a_reserve_that_exceeds_the_disk(setup: Setup) -> None:
    said = setup.ask(listener={"disk_reserve_mb": 1 << 40})
    expect(said, "disk", "MiB in reserve", "exceeds the disk: lower listener.disk_reserve_mb")


def test_a_database_that_does_not_answer(setup: Setup) -> None:
    address = f"postgresql://user:hunter2@{LOOPBACK}:{free_port()}/x"
    said = setup.ask(node={"database": address})
    expect(said, "database", "onnection refused", "start the PostgreSQL server")
    assert "hunter2" not in said.checks["database"].seen


def test_a_certificate_that_is_missing(setup: Setup) -> None:
    files = {"certificate": "/absent.pem", "key": "/absent.key", "ca": "/absent.ca"}
    said = setup.ask(wishes={"tls": files})
    name = "certificates of destination[1].tls"
    expect(said, name, "destination[1].tls.ca: /absent.ca: cannot be read", "correct that file")


def test_a_certificate_that_has_expired(setup: Setup, tmp_path: Path) -> None:
    keys = expired(tmp_path / "past")
    said = setup.ask(wishes={"tls": keys.table})
    name = "certificates of destination[1].tls"
    expect(said, name, "certificate has expired", f"renew {keys.certificate}")


def test_a_certificate_that_expires_soon(setup: Setup, tmp_path: Path) -> None:
    keys = Authority(tmp_path / "ca").issue("node")  # both for two days
    said = setup.ask(wishes={"tls": keys.table})
    name = "certificates of destination[1].tls"
    expect(said, name, ".pem: expires on 2", f"renew {tmp_path / 'ca'}")


def test_a_key_of_another_certificate(setup: Setup, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    keys, other = authority.issue("node"), authority.issue("other")
    said = setup.ask(wishes={"tls": keys.table | {"key": str(other.key)}})
    name = "certificates of destination[1].tls"
    expect(said, name, f"tls.key: {other.key}: does not belong to", "correct that file or that key")


def test_a_peer_that_is_down(setup: Setup) -> None:
    said = setup.ask(completion={"query": {"host": LOOPBACK, "port": 1, "ae_title": "PACS"}})
    expect(said, "destination pacs", "nobody listens there", "start the peer")
    expect(said, "query peer", f"PACS at {LOOPBACK}:1: nobody listens there", "start the peer")


def test_a_peer_whose_name_nobody_knows(setup: Setup) -> None:
    said = setup.ask(wishes={"host": "pacs.invalid"})
    expect(said, "destination pacs", "no host of that name", "correct the key host")


def test_a_peer_of_another_ae_title(setup: Setup, orthanc: OrthancPacs) -> None:
    said = setup.ask(wishes={"port": orthanc.dicom_port})
    expect(said, "destination pacs", "Called AE title not recognised", "is not SCRIPTED: correct")


@pytest.fixture
def choosy() -> Iterator[int]:
    """The port of a peer that lets one application entity in, and that is not us."""
    entity, port = AE("SCRIPTED"), free_port()
    entity.add_supported_context(VERIFICATION)
    entity.require_calling_aet = ["FRIEND"]
    entity.start_server((LOOPBACK, port), block=False)
    yield port
    entity.shutdown()


def test_a_peer_that_does_not_know_us(setup: Setup, choosy: int) -> None:
    said = setup.ask(wishes={"port": choosy})
    advice = "make the AE title LESIONMARK and our address known to the peer"
    expect(said, "destination pacs", "Calling AE title not recognised", advice)


def test_a_peer_that_takes_no_reports(setup: Setup) -> None:
    pacs = ScriptedPacs(sop_classes=[CTImageStorage])
    pacs.start()
    try:
        said = setup.ask(wishes={"port": pacs.port})
    finally:
        pacs.stop()
    assert said.checks["destination pacs"].result is Result.OK
    expect(said, "destination pacs, report", "none of Basic Text SR Storage", "accept one of these")


def shipped(setup: Setup, **keys: str) -> Said:
    node = Node(setup.folder, [("pacs", "SCRIPTED", 104)], module="plugin.analysis", plugin=keys)
    return setup.ask_with(node.config)


def test_weights_that_are_damaged(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(checkpoint.shipped(), folder)
    path = folder / f"{checkpoint.NAME}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(checkpoint, "shipped", lambda: folder)
    said = shipped(setup, device="cpu")
    expect(said, "model", "lung.safetensors does not have the hash", "install again")


def test_a_device_that_is_not_there(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = shipped(setup, device="cuda")
    expect(said, "plugin", 'plugin.device: there is no "cuda" here', "driver is installed")


def test_a_decoder_that_is_not_installed(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_decoder(HTJ2K), "_available", {})
    said = shipped(setup, device="cpu")
    expect(said, f"transfer syntax {HTJ2K.name}", "cannot be decoded", "install again")
    assert "transfer syntaxes" not in said.checks
    assert said.checks["model"].seen.startswith("lesionmark-lung ")


def test_a_node_that_does_not_run(setup: Setup) -> None:
    said = setup.ask()
    expect(said, "node", "nobody listens on its port", "systemctl start lesionmark")


@pytest.fixture(scope="module")
def refusing() -> Iterator[ScriptedPacs]:
    """A PACS that stores nothing."""
    pacs = ScriptedPacs(answers=[0xA900] * 1000)
    pacs.start()
    yield pacs
    pacs.stop()


@pytest.fixture(scope="module")
def storing() -> Iterator[ScriptedPacs]:
    """A PACS that stores and cannot be queried."""
    pacs = ScriptedPacs()
    pacs.start()
    yield pacs
    pacs.stop()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, refusing: ScriptedPacs, storing: ScriptedPacs
) -> Iterator[Node]:
    """A node that reports to both."""
    peers = {"storing": storing, "refusing": refusing}
    node = Node(
        tmp_path_factory.mktemp("running"),
        [(name, pacs.ae_title, pacs.port) for name, pacs in peers.items()],
        module="tests.trial_plugin",
        listener={"sender": SENDERS},
        web={"port": free_port()},
    )
    with node:
        yield node


def edited(node: Node, folder: Path, old: str, new: str) -> Path:
    """The configuration of a running node, changed behind its back."""
    text = node.config.read_text()
    assert old in text
    path = folder / "edited.toml"
    path.write_text(text.replace(old, new))
    return path


def test_doctor_is_not_among_the_senders(setup: Setup, running: Node, tmp_path: Path) -> None:
    config = edited(running, tmp_path, "[completion]", '[doctor]\nae_title = "ME"\n[completion]')
    said = setup.ask_with(config)
    assert said.checks[f"port {running.port}"].result is Result.OK
    advice = "add [[listener.sender]] with ae_title = 'ME' and addresses = ['127.0.0.1']"
    expect(said, "node", "Calling AE title not recognised", advice)


def test_a_node_that_runs_with_another_configuration(
    setup: Setup, running: Node, tmp_path: Path
) -> None:
    config = edited(running, tmp_path, "[completion]", '[doctor]\nae_title = "ME"\n[completion]')
    config.write_text(config.read_text().replace('"LMDOCTOR"', '"ME"'))
    said = setup.ask_with(config)
    advice = "it runs with another configuration than this: systemctl reload-or-restart"
    expect(said, "node", "Calling AE title not recognised", advice)


def test_a_report_that_does_not_come_back(
    running: Node, refusing: ScriptedPacs, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ask(capsys, running.config)
    assert said.status == 1
    assert said.failed == ["report at refusing"], said.checks["status page"]
    expect(said, "report at refusing", "failed: ", "destination refusing above")
    assert "refused with status 0xA900" in said.checks["report at refusing"].seen
    delivered = said.checks["report at storing"]
    assert "1 object delivered; cannot be asked for them" in delivered.seen
    assert said.checks["diameters at storing"].seen.endswith("(the copy that was sent)")
    assert "under Patient ID TEST-7" in said.checks["removal from storing"].seen
    assert said.checks["status page"].seen.endswith(" ok")
    assert running.statuses() == []
    assert refusing.requests


def test_a_page_that_is_not_there(setup: Setup, running: Node, tmp_path: Path) -> None:
    config = edited(running, tmp_path, "[web]\n", f"[web]\nport = {free_port()}\n# ")
    said = setup.ask_with(config)
    expect(said, "status page", "nobody listens on 127.0.0.1:", "journalctl -u lesionmark")
