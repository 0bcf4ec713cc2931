"""The whole loop of `lesionmark doctor`: a real node and a real Orthanc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.doctor.check import Result
from tests.doctor_cases import SENDERS, ask
from tests.instances import spool_of
from tests.node import Node

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from deploy.local_pacs import OrthancPacs


#: What the node sends: a report, and a picture of each lesion.
KINDS = ["report", "key-images"]


def test_a_report_comes_back_and_is_right_and_nothing_is_left(
    orthanc: OrthancPacs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orthanc.set_modality("lesionmark", "LESIONMARK", 11112)  # may ask and fetch
    removal = {"by": "orthanc", "url": orthanc.url}
    node = Node(
        tmp_path / "node",
        [("pacs", "ORTHANC", orthanc.dicom_port)],
        module="plugin.analysis",
        wishes={"pacs": {"removal": removal, "proof": "query", "objects": KINDS}},
        listener={"sender": SENDERS},
        plugin={"device": "cpu"},
    )
    with node:
        said = ask(capsys, node.config)
        assert (said.failed, said.status) == ([], 0)
        assert node.statuses() == []
        assert node.retiring() == set()
    assert said.checks["report at pacs"].seen == (
        "3 objects delivered and found by C-FIND; given back by C-GET"
    )
    diameters = said.checks["diameters at pacs"].seen
    assert diameters.startswith("14 x 14 mm: 1")
    assert diameters.endswith("(the copy that came back)")
    assert said.checks["removal from pacs"].seen == "3 test objects removed"
    assert said.checks["proof peer of pacs, proof"].result is Result.OK
    wanted = {"Level": "Patient", "Query": {"PatientID": "LESIONMARK-TEST"}}
    assert orthanc.ask("POST", "/tools/find", wanted) == []
    spool = spool_of(tmp_path / "node")
    assert not list(spool.root.rglob("*.dcm"))
    assert not list((tmp_path / "node/state/reports").iterdir())
