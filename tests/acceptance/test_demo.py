"""`make demo`, as a person sees it."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from deploy import demo, local_pacs
from deploy.demo import Order, run
from deploy.local_pacs import find_orthanc
from deploy.processes import listens
from plugin.datasets import phantom
from plugin.report.text import NO_LESION
from tests.conftest import missing
from tests.instances import write_series

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def without_orthanc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where nothing could be installed."""
    monkeypatch.setattr(local_pacs, "find_orthanc", lambda: None)


def test_the_phantom_goes_through_orthanc_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_orthanc() is None:
        missing("Orthanc")
    run(Order(series=None, keep=False, folder=tmp_path / "demo"))
    said = capsys.readouterr().out
    assert "The PACS forwards" in said
    assert said.count("found: Lesion") == len(phantom.LESIONS)
    assert "MISSED" not in said
    assert dcmread(tmp_path / "demo" / "report-1.dcm").Modality == "SR"
    pictures = list((tmp_path / "demo").glob("report-1-lesion-*.png"))
    assert len(pictures) == len(re.findall(r"^│ Lesion \d+ +│", said, re.MULTILINE))
    assert not any(listens(int(port)) for port in re.findall(r"127\.0\.0\.1:(\d+)", said))


@pytest.mark.usefixtures("without_orthanc")
def test_a_folder_stands_in_and_keep_leaves_it_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_series(tmp_path / "series", 5)
    left = run(Order(series=tmp_path / "series", keep=True, folder=tmp_path / "demo"))
    said = capsys.readouterr().out
    try:
        assert "stands in" in said
        assert NO_LESION in said
        assert [process.is_running for process in left] == [True, True]
        assert f"kill {left[0].pid} {left[1].pid}" in said
    finally:
        for process in left:
            process.stop()


@pytest.mark.usefixtures("without_orthanc")
def test_a_series_without_a_report_is_a_failure_that_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "one-slice", 1)
    monkeypatch.setattr(demo, "OUTPUT", tmp_path)
    monkeypatch.setenv("SERIES", str(tmp_path / "one-slice"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert demo.main() == 1
    said = capsys.readouterr().out
    assert "refused (" in said
    assert "The demo failed: no report was delivered." in said
    assert "LM001 ready" in said, "the node's log is missing"


def test_a_folder_without_ct_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "OUTPUT", tmp_path / "output")
    monkeypatch.setenv("SERIES", str(tmp_path))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert demo.main() == 1
    assert f"The demo failed: {tmp_path}: holds no DICOM instances" in capsys.readouterr().out
