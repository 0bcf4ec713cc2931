"""Work that an earlier version left pending when it was killed goes on under this one."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom import Dataset, dcmread

from dicom_node.spool import Shelf
from tests.committing_pacs import CommittingPacs
from tests.instances import spool_of
from tests.node import Node, eventually
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One for each version that left work; tests/upgrade/make.py says how they were made.
LEFT = sorted((Path(__file__).parents[1] / "upgrade").glob("pending-*.tar.xz"))
#: The years since it was left count as no time: it is neither given up nor deleted for that.
PATIENT = {"delivery": {"give_up_after_h": 1e6}, "retention": {"keep_h": 1e6}}


class Upgraded:
    """A node of this version with the state folder of an earlier one, and all its peers."""

    def __init__(self, left: Path, folder: Path) -> None:
        self.pacs, self.down = ScriptedPacs(), ScriptedPacs()
        self.archive = CommittingPacs(node_port=0)
        destinations = [
            ("pacs", self.pacs.ae_title, self.pacs.port),
            ("archive", *self.archive.destination[1:]),
            ("down", self.down.ae_title, self.down.port),
        ]
        senders = [{"ae_title": "SENDER"}, {"ae_title": "COMMITTING"}]
        wishes = {"archive": {"proof": "storage-commitment"}}
        delivery = PATIENT["delivery"] | {"first_retry_s": 0.5, "longest_retry_s": 2.0}
        self.node = Node(
            folder / "node",
            destinations,
            wishes=wishes,
            listener={"sender": senders},
            retention=PATIENT["retention"],
            delivery=delivery,
        )
        self.archive.node_port = self.node.port
        with tarfile.open(left) as archive:
            archive.extractall(self.node.folder, filter="data")
        self.series: dict[str, str] = json.loads((self.node.folder / "series.json").read_text())
        # What it acknowledged to the version before, which must not get it again.
        self.archive.held.update(self.reports(self.series["delivering"]))

    def reports(self, series_uid: str) -> list[str]:
        """SOP Instance UIDs of the reports on a series that lie on disk."""
        folder = self.node.folder / "state" / "reports" / series_uid
        return [str(dcmread(path).SOPInstanceUID) for path in folder.glob("*/*-report.dcm")]

    def report_at_last(self) -> None:
        """The archive reports on what the version before has asked it."""
        for path in (self.node.folder / "state" / "commitments").glob("*.request.json"):
            request = Dataset()
            request.TransactionUID = path.name.removesuffix(".request.json")
            request.ReferencedSOPSequence = []
            for uid, sop_class_uid in json.loads(path.read_bytes())["instances"].items():
                item = Dataset()
                item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID = uid, sop_class_uid
                request.ReferencedSOPSequence.append(item)
            self.archive.report_on(request)

    def state(self, name: str) -> list[str]:
        """The states of all revisions of a series."""
        return [status.state.value for status in self.node.statuses(self.series[name])]


@pytest.fixture(params=LEFT, ids=[path.name.split(".tar")[0] for path in LEFT])
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgraded]:
    upgraded = Upgraded(request.param, tmp_path)
    for peer in (upgraded.pacs, upgraded.down, upgraded.archive):
        peer.start()
    with upgraded.node:
        yield upgraded
    for peer in (upgraded.pacs, upgraded.down, upgraded.archive):
        peer.stop()


def test_nothing_that_was_pending_is_lost_or_done_twice(upgraded: Upgraded) -> None:
    upgraded.report_at_last()
    for name in ("delivering", "analysing", "receiving"):
        eventually(lambda name=name: upgraded.state(name) == ["kept"], f"{name}: kept")
    reports = {name: upgraded.reports(uid) for name, uid in upgraded.series.items()}
    new = [*reports["analysing"], *reports["receiving"]]
    assert len(new) == 2
    assert stored(upgraded.pacs) == Counter(new)
    assert stored(upgraded.down) == Counter([*new, *reports["delivering"]])
    assert Counter(upgraded.archive.stored) == Counter(new)
    assert (upgraded.state("refused"), upgraded.state("failed")) == (["refused"], ["failed"])
    spool = spool_of(upgraded.node.folder)
    assert len(spool.held(upgraded.series["aside"], Shelf.ASIDE)) == 1
    assert (Shelf.ASIDE.value, upgraded.series["aside"]) in upgraded.node.retiring()


def stored(pacs: ScriptedPacs) -> Counter[str]:
    """How often a destination got each object."""
    return Counter(str(request.SOPInstanceUID) for request in pacs.requests)
