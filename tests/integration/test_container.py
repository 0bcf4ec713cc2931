"""The image and the compose file are what a careful administrator would run.

Building them needs images of a registry, which the tests do not have; what can be known without is
tested here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local_pacs import ORTHANC_CONFIGURATION
from dicom_node import config

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "container"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
#: Ends when it has done its one thing, for which it must be root.
ONE_SHOT = "orthanc-volume"


def lint(program: str, *arguments: str | Path) -> str:
    """What a linter that came with our Python says; it fails the test when that is a fault."""
    command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert lint("hadolint", FOLDER / "Dockerfile") == ""


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_a_linter_of_compose_files_finds_no_risk(name: str) -> None:
    assert "PASS" in lint("compose-lint", "check", "--fail-on", "high", FOLDER / name)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name == ONE_SHOT:
        assert (service["cap_add"], service["network_mode"]) == (["CHOWN"], "none")
    else:
        assert "cap_add" not in service
        assert int(service["user"].split(":")[0]) > 0
        assert all(port.startswith("${PUBLISH:-127.0.0.1}:") for port in service["ports"])


def test_images_are_pinned_and_name_no_registry() -> None:
    [base] = re.findall(r"^ARG PYTHON=(.*)$", dockerfile(), re.MULTILINE)
    assert re.fullmatch(r"\d+\.\d+\.\d+-slim-\w+", base)
    sources = re.findall(r"^FROM (\S+)", dockerfile(), re.MULTILINE)
    assert set(sources) == {"python:${PYTHON}"}
    for service in SERVICES.values():
        repository, tag = service["image"].split(":")
        assert "." not in repository.split("/")[0]
        assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_the_image_is_of_this_version_and_of_a_user_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SERVICES["lesionmark"]["image"] == f"lesionmark:{project['version']}"
    [user] = re.findall(r"^USER (\S+)$", dockerfile(), re.MULTILINE)
    assert user == SERVICES["lesionmark"]["user"] == "10104:10104"


def test_it_is_stopped_by_its_own_signal_and_looked_after() -> None:
    [entry] = re.findall(r"^ENTRYPOINT (.*)$", dockerfile(), re.MULTILINE)
    assert json.loads(entry)[0] == "lesionmark"  # no shell, which would keep SIGTERM to itself
    [check] = re.findall(r"^HEALTHCHECK .*?CMD (.*?)$", dockerfile(), re.MULTILINE | re.DOTALL)
    program, option, code = json.loads(check)
    compile(code, "HEALTHCHECK", "exec")
    assert (program, option) == ("python", "-c")
    settings = config.load(FOLDER / "config.toml")
    assert f":{settings.web.port}/health/live" in dockerfile()
    grace_s = int(SERVICES["lesionmark"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.node.stop_within_s


def test_the_configuration_knows_its_neighbours() -> None:
    settings = config.load(FOLDER / "config.toml")
    orthanc = json.loads(ORTHANC_CONFIGURATION.read_text())
    [subnet] = COMPOSE["networks"]["dicom"]["ipam"]["config"]
    [sender], [destination] = settings.listener.sender, settings.destination
    assert [str(network) for network in sender.addresses] == [subnet["subnet"]]
    assert sender.ae_title == destination.ae_title == orthanc["DicomAet"]
    assert (destination.host, destination.port) == ("orthanc", orthanc["DicomPort"])
    peer = orthanc["DicomModalities"]["lesionmark"]
    assert (peer["AET"], peer["Port"]) == (settings.listener.ae_title, settings.listener.port)
    assert "${LESIONMARK_HOST:-" in peer["Host"]
    assert SERVICES["orthanc"]["environment"] == {"LESIONMARK_HOST": "lesionmark"}


def test_what_is_mounted_is_there_and_no_key_of_orthanc_is_set_twice() -> None:
    mounts = [v.split(":") for s in SERVICES.values() for v in s.get("volumes", ())]
    files = [source for source, *_ in mounts if source.startswith(".")]
    assert files
    assert all((FOLDER / source).is_file() for source in files)
    more = json.loads((FOLDER / "orthanc-container.json").read_text())
    # Orthanc refuses to start with a key in two files.
    assert not set(more) & set(json.loads(ORTHANC_CONFIGURATION.read_text()))


def dockerfile() -> str:
    return (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
