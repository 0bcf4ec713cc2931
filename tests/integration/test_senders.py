"""What hospital senders send is read right or refused by name: through a running node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicom_node.delivery import Outcome
from dicom_node.spool import Shelf
from plugin import volume
from tests.instances import WrittenSeries, spool_of
from tests.node import Node, eventually
from tests.pacs import ScriptedPacs
from tests.sender_cases import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_node.standing import SeriesStatus


#: pydicom says so whenever it opens such an instance.
pytestmark = pytest.mark.filterwarnings("ignore:Unknown encoding 'ISO_IR 999'")


@dataclass(frozen=True)
class Walked:
    """All cases, sent to one node and at rest."""

    node: Node
    pacs: ScriptedPacs
    sent: dict[str, WrittenSeries]
    statuses: dict[str, SeriesStatus]

    def held(self, case: Case, shelf: Shelf = Shelf.SERIES) -> list[Path]:
        series_uid = self.sent[case.name].series_uid
        return [held.path for held in spool_of(self.node.folder).held(series_uid, shelf)]

    def remarks(self, case: Case) -> list[str]:
        """What the node said about a series."""
        uid = self.sent[case.name].series_uid
        return [line for line in self.node.process.log.read_text().splitlines() if uid in line]

    def reports(self, case: Case) -> list[Dataset]:
        """What the destination got about a series."""
        study = self.sent[case.name].study_uid
        return [report for report in self.pacs.kept if report.StudyInstanceUID == study]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    folder, pacs = tmp_path_factory.mktemp("senders"), ScriptedPacs()
    pacs.start()
    to = [("pacs", pacs.ae_title, pacs.port)]
    completion = {"quiet_period_s": 1.0, "cap_s": 6.0}
    with Node(folder / "node", to, module="tests.reading_plugin", completion=completion) as node:
        sent = {case.name: send(case, node, folder / str(n)) for n, case in enumerate(CASES)}
        eventually(lambda: is_at_rest(node, sent), "all series at rest", limit_s=120)
        statuses = {status.series_uid: status for status in node.statuses()}
        yield Walked(node, pacs, sent, statuses)
    pacs.stop()


def send(case: Case, node: Node, folder: Path) -> WrittenSeries:
    folder.mkdir()
    images, paths = case.images(), []
    for number, image in enumerate(images):
        path = folder / f"{number}.dcm"
        image.save_as(path, enforce_file_format=True)
        if case.encoding is not None:
            native = path.rename(folder / f"{number}.native")
            case.encoding.write(native, path)
        paths.append(path)
    assert node.send(paths).outcome is Outcome.ACKNOWLEDGED
    return WrittenSeries(images[0].StudyInstanceUID, images[0].SeriesInstanceUID, tuple(paths))


def is_at_rest(node: Node, sent: dict[str, WrittenSeries]) -> bool:
    states = {status.series_uid: status.state.value for status in node.statuses()}
    ends = [states.get(series.series_uid) in ("delivered", "refused") for series in sent.values()]
    return all(ends)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case(walked: Walked, case: Case) -> None:
    status = walked.statuses[walked.sent[case.name].series_uid]
    assert status.state.value == ("refused" if case.hu is None else "delivered"), status.reason
    assert len(walked.reports(case)) == (0 if case.hu is None else 1)
    said = "\n".join([status.reason, *walked.remarks(case)])
    assert case.says in said
    if case.hu is not None:
        read = volume.read(walked.held(case)).hu
        tolerance = case.encoding.tolerance if case.encoding else 0.0
        np.testing.assert_allclose(read, case.hu, rtol=0, atol=tolerance + 1e-3)


@pytest.mark.parametrize("case", [c for c in CASES if c.encoding], ids=lambda case: case.name)
def test_instances_are_kept_as_they_were_encoded(walked: Walked, case: Case) -> None:
    assert case.encoding is not None
    kept = {dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
            for path in walked.held(case)}  # fmt: skip
    assert kept == {case.encoding.syntax}


@pytest.mark.parametrize("case", [c for c in CASES if "named" in c.name], ids=lambda c: c.name)
def test_names_arrive_in_any_character_set(walked: Walked, case: Case) -> None:
    [report] = walked.reports(case)
    assert report.PatientName == case.images()[0].PatientName


def test_companions_are_set_aside(walked: Walked) -> None:
    [case] = [c for c in CASES if c.name == "companions inside"]
    assert len(walked.held(case, Shelf.ASIDE)) == 2


def test_tilt_is_read_as_such(walked: Walked) -> None:
    [case] = [c for c in CASES if c.name == "gantry tilt"]
    read = volume.read(walked.held(case))
    assert read.spacing[0] == pytest.approx(2.5 * np.cos(np.radians(15.0)), abs=1e-5)
    assert read.affine[:3, 0] == pytest.approx([0.0, 0.0, 2.5])
