"""Single checks of `lesionmark doctor` that need no node."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from deploy.processes import LOOPBACK
from deploy.toml_text import assignments
from dicom_node import cli, config
from dicom_node.config_tables import Destination, Removal
from dicom_node.doctor import certificates, homecoming, machine, ports, removal, software
from dicom_node.doctor.check import Result
from dicom_node.doctor.node import us
from plugin import Facts, Judgement
from tests import trial_plugin
from tests.certificates import Authority
from tests.instances import write_series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import Dataset

    from dicom_node.config import Settings

NOW = datetime.now(UTC)
UID = "1.2.3"


def settings(more: str = "", listener: str = "") -> Settings:
    return config.parse(
        f'[listener]\n{listener}\n[[listener.sender]]\nae_title = "A"\n{more}\n[[destination]]\n'
        'name = "pacs"\nhost = "h"\nport = 104\nae_title = "PACS"\n'
    )


def test_a_clock_of_the_past_is_named() -> None:
    check = machine.clock(settings(), datetime(1970, 1, 1, tzinfo=UTC))
    assert (check.result, check.seen) == (Result.FAILED, "it is 1970-01-01 00:00")


def test_a_clock_without_a_time_zone_is_named() -> None:
    check = machine.clock(settings(), datetime(2026, 6, 1))
    assert check.seen == "no time zone is known"


def test_a_file_server_with_another_clock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_probe", lambda _: NOW.timestamp() - 90)
    check = machine.clock(settings(), NOW)
    assert (check.result, check.seen[-15:]) == (Result.FAILED, "differs by 90 s")


@pytest.mark.parametrize(("said", "result"), [(True, "ok"), (False, "failed"), (None, "ok")])
def test_a_clock_that_nobody_sets_is_named(
    monkeypatch: pytest.MonkeyPatch, said: bool | None, result: str
) -> None:
    monkeypatch.setattr(machine, "_is_synchronised", lambda: said)
    assert machine.clock(settings(), NOW).result == result


def test_the_user_of_the_service_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = settings(f'[node]\nstate_dir = "{tmp_path}"')
    assert machine.state_folder(here).result is Result.OK
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    check = machine.state_folder(here)
    assert check.result is Result.FAILED
    assert check.advice.startswith("run doctor as that user: sudo -u ")
    assert not list(tmp_path.iterdir())


def test_a_disk_under_its_reserve_is_named(tmp_path: Path) -> None:
    here = f'[node]\nstate_dir = "{tmp_path}"'
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize >> 20
    check = machine.disk(settings(here, f"disk_reserve_mb = {free + 100}"))
    assert check.result is Result.FAILED
    assert check.advice.startswith("nothing is accepted: free some space")


def test_a_graphics_card_that_is_not_used_is_named(tmp_path: Path) -> None:
    facts = Facts("m 1", "", "cpu", "x86_64")
    assert software._device(facts, tmp_path / "absent").result is Result.OK
    check = software._device(facts, tmp_path)
    assert (check.result, check.seen) == (Result.FAILED, "cpu, although there is an NVIDIA driver")


def test_the_memory_of_a_graphics_card_is_told(tmp_path: Path) -> None:
    facts = Facts("m 1", "", "cuda", "H", memory_bytes=8 << 30, memory_used_bytes=2 << 30)
    assert software._device(facts, tmp_path).seen == "cuda (H), 2.0 of 8.0 GiB in use"


def test_the_holder_of_a_port_is_named() -> None:
    with socket.socket() as ours:
        ours.bind((LOOPBACK, 0))
        assert ports.holder(ours.getsockname()[1]) == ""
        ours.listen()
        found = ports.holder(ours.getsockname()[1])
        assert found.endswith(f", process {os.getpid()}")


def test_a_certificate_that_lasts_passes(tmp_path: Path) -> None:
    keys = Authority(tmp_path).issue("node")  # for two days
    here = settings("[listener.tls]\n" + assignments(keys.table))
    [check] = certificates.certificates(here, NOW - timedelta(days=60))
    assert (check.name, check.result) == ("certificates of listener.tls", Result.OK)
    [check] = certificates.certificates(here, NOW + timedelta(days=3))
    assert "has expired on 2" in check.seen


def test_doctor_shows_the_certificate_of_the_listener_unless_it_has_its_own(tmp_path: Path) -> None:
    keys = Authority(tmp_path).issue("node").table
    listens = "[listener.tls]\n" + assignments(keys)
    shown = us(settings(listens)).tls
    assert shown is not None
    assert (shown.certificate, shown.check_host) == (keys["certificate"], False)
    own = "[doctor.tls]\n" + assignments(keys | {"certificate": "/own.pem"})
    assert us(settings(listens + "\n" + own)).tls == settings(own).doctor.tls
    assert us(settings(own)).tls is None


@pytest.mark.parametrize(
    ("host", "to"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.1.2.3", "10.1.2.3"), ("node", "node")],
)
def test_a_node_that_listens_everywhere_is_reached_here(host: str, to: str) -> None:
    assert us(settings(listener=f'host = "{host}"')).host == to


@contextmanager
def archive(status: int) -> Iterator[tuple[str, list[str]]]:
    """An archive that answers alike, with the requests that it got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            got.append(f"{self.path} {self.headers['Authorization']}")
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer((LOOPBACK, 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}/rs/", got
        server.shutdown()
        thread.join()


def test_a_study_is_removed_by_dicomweb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_KEY", "Bearer x")
    with archive(204) as (url, got):
        by = Removal(by="dicomweb", url=url, authorization=SecretStr("env:PACS_KEY"))
        removal.remove(by, UID)
    assert got == [f"/rs/studies/{UID} Bearer x"]


def test_an_archive_that_removes_nothing_is_named() -> None:
    with archive(403) as (url, _):
        peer = Destination(
            name="pacs",
            host="h",
            port=104,
            ae_title="PACS",
            removal=Removal(by="dicomweb", url=url),
        )
        check = homecoming._removed(peer, UID, 3, "TEST")
    assert check.result is Result.FAILED
    assert "DELETE: status 403" in check.seen
    assert "left there: 3 test objects, under Patient ID TEST, study 1.2.3" in check.advice


def test_wrong_diameters_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(_: trial_plugin.TinyTrial, document: Dataset) -> Judgement:
        return Judgement("14 mm: 9 mm", (f"{document.Modality}: it is too small",))

    monkeypatch.setattr(trial_plugin.TinyTrial, "judge", judge)
    path = write_series(tmp_path, 1).paths[0]
    peer = Destination(name="pacs", host="h", port=104, ae_title="PACS")
    check = homecoming._judged(trial_plugin.TinyTrial(), peer, path, "a copy")
    assert (check.result, check.seen) == (Result.FAILED, "CT: it is too small (a copy)")
    assert check.advice.startswith("do not use this installation")


def test_the_lines_say_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[listener]\nprot = 1\n")
    assert cli.main(["--config", str(path), "doctor"]) == 1
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["failed", "configuration", "listener.prot: there is no such key"] in lines
    assert ["->", "correct", str(path)] in lines
    assert lines[-1][-1].endswith("failed, 0 skipped")
