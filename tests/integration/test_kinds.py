"""Each destination gets the kinds of object it asked for, the report in a form it accepts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from plugin import Kind, report
from plugin.datasets import phantom
from tests.instances import WrittenSeries
from tests.node import Node
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from pathlib import Path


def test_kinds_and_forms(tmp_path: Path, scripted: ScriptedPacs) -> None:
    spec = phantom.Spec(lesions=phantom.LESIONS[:2])
    phantom.make(tmp_path / "ct", spec)
    paths = tuple(sorted((tmp_path / "ct").iterdir()))
    header = dcmread(paths[0], stop_before_pixels=True)
    series = WrittenSeries(header.StudyInstanceUID, header.SeriesInstanceUID, paths)
    old = ScriptedPacs(sop_classes=[ComprehensiveSRStorage])
    scripted.start()
    old.start()
    peers = [("new", scripted.ae_title, scripted.port), ("old", old.ae_title, old.port)]
    wishes = {"new": {"objects": [kind.value for kind in Kind]}}
    try:
        with Node(tmp_path / "node", peers, module="plugin.analysis", wishes=wishes) as node:
            node.send(paths)
            node.wait_for(series, "delivered")
    finally:
        old.stop()
    assert [kept.SOPClassUID for kept in old.kept] == [ComprehensiveSRStorage]
    [document] = [k for k in scripted.kept if k.SOPClassUID == Comprehensive3DSRStorage]
    lesions = len(report.read(document).bookmarks)
    assert lesions >= len(spec.lesions)
    assert Counter(kept.SOPClassUID for kept in scripted.kept) == {
        Comprehensive3DSRStorage: 1,
        SecondaryCaptureImageStorage: lesions,
        GrayscaleSoftcopyPresentationStateStorage: 1,
        KeyObjectSelectionDocumentStorage: 1,
        SegmentationStorage: 1,
    }
    assert {kept.StudyInstanceUID for kept in scripted.kept} == {series.study_uid}
