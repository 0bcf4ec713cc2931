"""The books of a node under test: what it acknowledged, and what became of each instance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom import dcmread

from dicom_node.revisions import Revisions
from dicom_node.spool import Shelf
from plugin import Kind
from tests.instances import WrittenSeries, spool_of
from tests.node import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dicom_node.revisions import Revision
    from tests.node import Node

#: (Series Instance UID, digest) of a revision -> its state.
_States = dict[tuple[str, str], str]

#: States in which nothing remains to be done.
_ENDS = {"delivered", "kept", "refused"}


@dataclass
class Books:
    """Every SOP Instance UID that was answered with Success."""

    #: Series Instance UID -> Study Instance UID.
    studies: dict[str, str] = field(default_factory=dict)
    #: Series Instance UID -> SOP Instance UIDs.
    acknowledged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def acknowledge(self, study_uid: str, series_uid: str, sop_instance_uid: str) -> None:
        """Enter one answer."""
        self.studies[series_uid] = study_uid
        self.acknowledged[series_uid].add(sop_instance_uid)

    def acknowledge_all(self, series: WrittenSeries) -> None:
        """Enter a series of which every instance was answered with Success."""
        for path in series.paths:
            uid = dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID
            self.acknowledge(series.study_uid, series.series_uid, str(uid))

    def balance(
        self, node: Node, reports: Callable[[str], Collection[str]], limit_s: float = 60
    ) -> None:
        """Wait until the node is at rest, then fail unless everything is accounted for.

        Every acknowledged instance is in the spool and in the last revision of its series, or
        set aside; that revision is delivered, or refused with a reason; the destination holds
        its report. `reports` gives the SOP Instance UIDs of the reports that the destination
        holds of a study: one for each revision that was reported, and no others.
        """
        states = eventually(lambda: _states_at_rest(node), "rest", limit_s)
        for series_uid, acknowledged in self.acknowledged.items():
            _check_held(node, series_uid, acknowledged)
            _check_reported(node, series_uid, states, reports(self.studies[series_uid]))


def _states_at_rest(node: Node) -> _States | None:
    """The state of every revision, or None while anything is under way."""
    statuses = node.statuses()
    if not statuses or any(status.state.value not in _ENDS for status in statuses):
        return None
    return {(s.series_uid, s.analysis.digest): s.state.value for s in statuses if s.analysis}


def _revisions(node: Node) -> Revisions:
    return Revisions(node.folder / "state" / "reports")


def _check_held(node: Node, series_uid: str, acknowledged: set[str]) -> None:
    spool = spool_of(node.folder)
    waiting, revisions = spool.uids(series_uid), _revisions(node).of(series_uid)
    aside = {held.sop_instance_uid for held in spool.held(series_uid, Shelf.ASIDE)}
    assert acknowledged <= waiting | aside, f"series {series_uid}: acknowledged and lost"
    if waiting:
        assert revisions, f"series {series_uid}: never looked at"
        assert waiting == set(revisions[-1].instances), f"series {series_uid}: late ones forgotten"


def _check_reported(node: Node, series_uid: str, states: _States, reports: Collection[str]) -> None:
    revisions = _revisions(node).of(series_uid)
    if revisions:
        last = (series_uid, revisions[-1].digest)
        assert last in states, f"series {series_uid}: never analysed as it is"
    reported = [
        _report_uid(node, revision)
        for revision in revisions
        if states.get((series_uid, revision.digest), "refused") != "refused"
    ]
    assert sorted(reports) == sorted(reported), f"series {series_uid}: not one report each"


def _report_uid(node: Node, revision: Revision) -> str:
    [path] = _revisions(node).objects(revision.series_uid, revision.digest, Kind.REPORT)
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
