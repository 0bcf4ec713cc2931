"""Enhanced CT gives the same bookmarks as its slices sent singly, through the shipped plugin."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom import dcmread
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian

from plugin import Series, analysis
from plugin.datasets import phantom
from plugin.uids import derive

if TYPE_CHECKING:
    from pathlib import Path

    from plugin import Analysis

LESIONS = (phantom.Lesion((-60.0, 5.0, 0.0), (14.0, 11.0, 11.0)),)
SPEC = phantom.Spec(LESIONS, (14, 96, 96), (3.0, 1.5, 1.5))


def as_frames(paths: list[Path], folder: Path) -> Path:
    """One Enhanced CT instance; its frames are in no order."""
    images = [dcmread(path) for path in paths]
    enhanced = LegacyConvertedEnhancedCTImage(
        images[::2] + images[1::2],
        series_instance_uid=derive("enhanced"),
        series_number=2,
        sop_instance_uid=derive("enhanced instance"),
        instance_number=1,
    )
    enhanced.SOPClassUID = enhanced.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    enhanced.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "enhanced.dcm"
    enhanced.save_as(path, enforce_file_format=True)
    return path


def what_was_seen(analysed: Analysis) -> list[dict[str, Any]]:
    """The bookmarks without the names of instances."""
    names = ("series_instance_uid", "sop_instance_uid", "frame_number", "tracking_uid")
    records = [asdict(bookmark) for bookmark in analysed.bookmarks]
    return [{k: v for k, v in record.items() if k not in names} for record in records]


def test_the_same_bookmarks(tmp_path: Path) -> None:
    (tmp_path / "ct").mkdir()
    phantom.make(tmp_path / "ct", SPEC)
    singles = sorted((tmp_path / "ct").iterdir())
    frames = as_frames(singles, tmp_path)
    plugin, now = analysis.build({}), datetime.now(UTC)

    singly = plugin.analyse(Series("1.1", tuple(singles)), None, now)
    together = plugin.analyse(Series("1.2", (frames,)), None, now)

    assert len(singly.bookmarks) >= 1
    assert what_was_seen(together) == what_was_seen(singly)
    assert len(singly.pictures) == len(singly.bookmarks)
    assert [p.png for p in together.pictures] == [p.png for p in singly.pictures]
    assert {b.sop_instance_uid for b in together.bookmarks} == {derive("enhanced instance")}
    header = dcmread(frames, stop_before_pixels=True)
    for single, frame in zip(singly.bookmarks, together.bookmarks, strict=True):
        assert frame.frame_number is not None
        [source] = header.PerFrameFunctionalGroupsSequence[
            frame.frame_number - 1
        ].ConversionSourceAttributesSequence
        assert source.ReferencedSOPInstanceUID == single.sop_instance_uid
