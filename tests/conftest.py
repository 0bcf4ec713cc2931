"""Fixtures: real peers where they are installed, real data where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local_pacs import OrthancPacs, find_orthanc
from tests.node import Node
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parent.parent

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a test process for each core already; threads of all for all would only wait.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def missing(what: str) -> None:
    """A peer or tool that is not installed: a failure in CI, elsewhere a skip by its name."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real CT; it is no part of the repository."""
    folder = Path(os.environ.get("LESIONMARK_DATA", _ROOT.parent / "shared" / "data"))
    if not (folder / "series").is_dir():
        pytest.skip(f"no real CT: {folder}/series does not exist")
    return folder


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancPacs]:
    """A real Orthanc; tests share it, each with studies of its own."""
    if find_orthanc() is None:
        missing("Orthanc")
    with OrthancPacs(tmp_path_factory.mktemp("orthanc")) as pacs:
        yield pacs


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, orthanc: OrthancPacs) -> Iterator[Node]:
    """A running node that reports to Orthanc; the tests of a module share it."""
    to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
    with Node(tmp_path_factory.mktemp("node"), to) as running:
        yield running


@pytest.fixture
def scripted() -> Iterator[ScriptedPacs]:
    """A PACS that answers as the test tells it; not started."""
    pacs = ScriptedPacs()
    yield pacs
    pacs.stop()
