"""Orthanc forwards what is stable by the rules that we ship, in both of their forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydicom.uid import generate_uid

from deploy.local_pacs import FORWARDING, OrthancPacs, find_orthanc, find_plugins
from deploy.processes import LOOPBACK, wait_until
from dicom_node import delivery
from dicom_node.config_tables import Destination
from dicom_node.spool import Shelf
from tests.conftest import missing
from tests.instances import instance, spool_of, write_series
from tests.node import Node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.instances import WrittenSeries

#: Metadata of a series: how many of its instances the node is committed to.
KEPT = "1024"


@pytest.fixture(params=FORWARDING)
def orthanc(request: pytest.FixtureRequest, tmp_path: Path) -> OrthancPacs:
    """Orthanc that is set up to forward; not started."""
    if find_orthanc() is None:
        missing("Orthanc")
    if request.param == "Python" and not find_plugins("Python"):
        missing("Orthanc's Python plugin")
    rule = FORWARDING[request.param] | {"Lesionmark": {"RetryAfterSeconds": 1}}
    return OrthancPacs(tmp_path / "orthanc", **rule, StableAge=1)


def test_each_state_of_a_series_is_sent_once_until_the_node_is_committed_to_it(
    orthanc: OrthancPacs, tmp_path: Path
) -> None:
    series, later = (write_series(tmp_path / name, 3) for name in ("ct", "later"))
    node = Node(tmp_path / "node", [("pacs", orthanc.ae_title, orthanc.dicom_port)])
    with orthanc:
        orthanc.set_modality("lesionmark", "LESIONMARK", node.port)
        upload(orthanc, series)
        of_the_node = send_as("LESIONMARK", write_series(tmp_path / "result", 1), orthanc)
        # Nobody takes it yet.
        until(orthanc, lambda: jobs(orthanc, series, "Failure"), tmp_path, "a job that failed")
        with node:
            until(orthanc, lambda: kept(orthanc, series) == "3", tmp_path, "commitment to 3")
            node.wait_for(series, "delivered")
            assert len(jobs(orthanc, series, "Success")) == 1
            orthanc.process.stop()
            orthanc.process.start()
            orthanc.set_modality("lesionmark", "LESIONMARK", node.port)
            upload(orthanc, later)
            until(orthanc, lambda: kept(orthanc, later) == "3", tmp_path, "commitment to both")
            assert len(jobs(orthanc, series, "Success")) <= 1  # its history may be gone
            assert not jobs(orthanc, of_the_node, "Failure", "Success")
            received = spool_of(node.folder).series(Shelf.SERIES)
            assert set(received) == {series.series_uid, later.series_uid}
            assert spool_of(node.folder).series(Shelf.ASIDE) == []


def upload(orthanc: OrthancPacs, series: WrittenSeries) -> None:
    for path in series.paths:
        orthanc.upload(path)


def send_as(ae_title: str, series: WrittenSeries, orthanc: OrthancPacs) -> WrittenSeries:
    peer = Destination(name="p", host=LOOPBACK, port=orthanc.dicom_port, ae_title="ORTHANC")
    sent = delivery.send([(path,) for path in series.paths], peer, ae_title, timeout_s=30)
    assert sent.outcome is delivery.Outcome.ACKNOWLEDGED, sent.reason
    return series


def until(orthanc: OrthancPacs, look: Callable[[], Any], folder: Path, what: str) -> None:
    """Wait, and let things happen: an Orthanc without heart beat looks when something is stored."""

    def store_and_look() -> bool:
        photograph = instance(generate_uid(), generate_uid(), 0)
        photograph.Modality = "XC"
        photograph.save_as(folder / "photograph.dcm", enforce_file_format=True)
        orthanc.upload(folder / "photograph.dcm")
        return bool(look())

    wait_until(store_and_look, what, limit_s=40, interval_s=0.5)


def jobs(orthanc: OrthancPacs, series: WrittenSeries, *states: str) -> list[Any]:
    """Jobs that send a series, by how they ended."""
    [found] = orthanc.lookup("Series", series.series_uid)
    return [
        job
        for job in orthanc.ask("GET", "/jobs?expand")
        if found in job["Content"].get("ParentResources", ()) and job["State"] in states
    ]


def kept(orthanc: OrthancPacs, series: WrittenSeries) -> str | None:
    [found] = orthanc.lookup("Series", series.series_uid)
    metadata = orthanc.ask("GET", f"/series/{found}/metadata?expand")
    value: str | None = metadata.get(KEPT)
    return value
