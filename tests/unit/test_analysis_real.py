"""Real patients' CT through the whole plugin; skipped where the data is not at hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from plugin import Analysis, Bookmark, Earlier, Series, load, volume
from tests.boxes import iou

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
PLUGIN = load({"module": "plugin.analysis"})


@cache
def analysed(folder: Path) -> Analysis:
    return PLUGIN.analyse(series(folder), None, NOW)


def series(folder: Path) -> Series:
    paths = tuple(sorted(folder.iterdir()))
    return Series(volume.read(paths[:12]).series_instance_uid, paths)


def readers(data: Path, name: str) -> list[dict[str, Any]]:
    """What the readers marked on a series."""
    described = json.loads((data / "lesions.json").read_text())
    (found,) = [entry for entry in described if entry["series_dir"] == f"series/{name}"]
    lesions: list[dict[str, Any]] = found["lesions"]
    return lesions


def best_match(bookmarks: tuple[Bookmark, ...], boxes: list[tuple[float, ...]]) -> Bookmark:
    return max(bookmarks, key=lambda bookmark: min(iou(bookmark.box, box) for box in boxes))


@pytest.mark.parametrize("name", ["LIDC-IDRI-0001", "LIDC-IDRI-0003-part"])
def test_the_nodule_that_four_readers_marked(data: Path, name: str) -> None:
    marks = readers(data, name)
    boxes = [tuple(mark["key_bbox_px"]) for mark in marks]

    bookmark = best_match(analysed(data / "series" / name).bookmarks, boxes)

    assert iou(bookmark.box, tuple(np.mean(boxes, axis=0))) >= 0.5
    mean_mm = np.mean([mark["recist"]["long_mm"] for mark in marks])
    assert bookmark.long_axis_mm == pytest.approx(mean_mm, abs=4.0)
    first, last = (np.mean([mark["bbox_px"][i] for mark in marks]) for i in (2, 5))
    assert first <= bookmark.slice_index <= last
    assert bookmark.score > 0.9


def test_a_mass_at_the_mediastinum(data: Path) -> None:
    marks = {mark["key_slice"]: mark for mark in readers(data, "Lung_Dx-A0001-3")}
    bookmarks = analysed(data / "series" / "Lung_Dx-A0001-3").bookmarks

    overlaps = [
        iou(b.box, tuple(marks[b.slice_index]["key_bbox_px"]))
        for b in bookmarks
        if b.slice_index in marks
    ]

    assert max(overlaps) >= 0.5


def test_a_normal_chest_has_few_false_bookmarks(data: Path) -> None:
    assert len(analysed(data / "series" / "COVID-CT-MD-normal001").bookmarks) <= 2


@pytest.mark.parametrize("name", ["CRLM-CT-1004", "TCGA-OV-abdomen", "STS_003"])
def test_elsewhere_in_the_body_nothing_is_mistaken_for_a_nodule(data: Path, name: str) -> None:
    assert len(analysed(data / "series" / name).bookmarks) <= 1


def test_the_order_of_files_makes_no_difference(data: Path) -> None:
    folder = data / "series" / "LIDC-IDRI-0003-part"
    there, back = series(folder), series(folder)
    back = Series(back.series_instance_uid, back.instances[::-1])

    one, other = (PLUGIN.analyse(s, None, NOW) for s in (there, back))

    assert one.bookmarks == other.bookmarks
    assert one.bookmarks
    assert one.objects[0].dataset.SOPInstanceUID == other.objects[0].dataset.SOPInstanceUID


def test_late_slices_revise_the_report_and_keep_the_lesion(data: Path, tmp_path: Path) -> None:
    paths = tuple(sorted((data / "series" / "LIDC-IDRI-0003-part").iterdir()))
    uid = volume.read(paths).series_instance_uid
    early = PLUGIN.analyse(Series(uid, paths[1:]), None, NOW)
    report = tmp_path / "report.dcm"
    early.objects[0].dataset.save_as(report, enforce_file_format=True)

    late = PLUGIN.analyse(Series(uid, paths), Earlier((report,) * 3, early.bookmarks), NOW)

    assert late.bookmarks[0].tracking_uid == early.bookmarks[0].tracking_uid
    # Eleven slices are all near an end, which is felt: the longest axis may move by one.
    assert abs(late.bookmarks[0].slice_index - early.bookmarks[0].slice_index - 1) <= 1
    assert late.objects[0].dataset.SOPInstanceUID != early.objects[0].dataset.SOPInstanceUID
