"""A real chest through a real PACS: the nodule that four readers marked is found and reported."""

from __future__ import annotations

import json
import random
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from deploy.local_pacs import OrthancPacs, find_orthanc
from plugin import report
from tests.boxes import iou
from tests.conftest import missing
from tests.instances import WrittenSeries
from tests.node import Node, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from plugin import Bookmark

SERIES = "series/LIDC-IDRI-0001"
#: How far the long axis may be from the mean of the readers, mm.
TOLERANCE_MM = 4.0


@pytest.fixture(scope="module")
def chest(data: Path) -> list[Path]:
    """133 slices of a chest in JPEG-LS Lossless."""
    return sorted((data / SERIES).iterdir())


@pytest.fixture(scope="module")
def readers(data: Path) -> list[dict[str, Any]]:
    """What the readers marked."""
    entries = json.loads((data / "lesions.json").read_text())
    [lesions] = [entry["lesions"] for entry in entries if entry["series_dir"] == SERIES]
    assert len(lesions) == 4
    marked: list[dict[str, Any]] = lesions
    return marked


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[OrthancPacs]:
    """An Orthanc of its own for each test, because all of them report on the same study."""
    if find_orthanc() is None:
        missing("Orthanc")
    with OrthancPacs(tmp_path / "orthanc") as pacs:
        yield pacs


@pytest.fixture
def chest_node(tmp_path: Path, orthanc: OrthancPacs) -> Node:
    """A node with the real plugin; not started."""
    to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
    return Node(tmp_path / "node", to, module="plugin.analysis", completion={"quiet_period_s": 3.0})


def test_forwarded_by_the_pacs_as_stored(
    chest: list[Path], readers: list[dict[str, Any]], orthanc: OrthancPacs, chest_node: Node
) -> None:
    series = described(chest)
    for path in chest:
        orthanc.upload(path)
    with chest_node as node:
        orthanc.set_modality("lesionmark", "LESIONMARK", node.port)
        orthanc.forward(series.series_uid, "lesionmark")
        document = delivered(node, orthanc, series)
    assert dcmread(chest[0]).file_meta.TransferSyntaxUID == JPEGLSLossless
    assert_nodule_found(report.read(document).bookmarks, readers)
    modalities = [stored.modality for stored in orthanc.series(series.study_uid)]
    assert sorted(modalities) == ["CT", "SR"]


def test_in_random_order_over_several_associations(
    chest: list[Path], readers: list[dict[str, Any]], orthanc: OrthancPacs, chest_node: Node
) -> None:
    series = described(chest)
    shuffled = random.Random(3).sample(chest, len(chest))
    with chest_node as node:
        for part in (shuffled[:40], shuffled[40:41], shuffled[41:]):
            node.send(part)
        document = delivered(node, orthanc, series)
    assert_nodule_found(report.read(document).bookmarks, readers)


def test_decompressed(
    chest: list[Path],
    readers: list[dict[str, Any]],
    orthanc: OrthancPacs,
    chest_node: Node,
    tmp_path: Path,
) -> None:
    native = [decompressed(path, tmp_path) for path in chest]
    with chest_node as node:
        node.send(native)
        document = delivered(node, orthanc, described(native))
    assert dcmread(native[0]).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert_nodule_found(report.read(document).bookmarks, readers)


def delivered(node: Node, orthanc: OrthancPacs, series: WrittenSeries) -> Dataset:
    """The one report of the series, fetched from the PACS; the node found it from scratch."""
    eventually(lambda: node.states(series) == ["delivered"], "the report", limit_s=180)
    [uid] = orthanc.reports(series.study_uid)
    document = dcmread(BytesIO(orthanc.download(uid)))
    log = node.process.log.read_text()
    assert log.count("LM401") == 1
    return document


def assert_nodule_found(bookmarks: Sequence[Bookmark], readers: list[dict[str, Any]]) -> None:
    mean_mm = np.mean([reader["recist"]["long_mm"] for reader in readers])
    marked = {reader["key_slice"] for reader in readers}
    boxes = [tuple(reader["key_bbox_px"]) for reader in readers]
    found = [b for b in bookmarks if np.mean([iou(b.box, box) for box in boxes]) >= 0.5]
    assert len(found) == 1
    # The longest axis lies in the readers' key slice or, at most, in its neighbour.
    assert min(abs(found[0].slice_index - index) for index in marked) <= 1
    assert abs(found[0].long_axis_mm - mean_mm) <= TOLERANCE_MM


def described(paths: list[Path]) -> WrittenSeries:
    header = dcmread(paths[0], stop_before_pixels=True)
    return WrittenSeries(header.StudyInstanceUID, header.SeriesInstanceUID, tuple(paths))


def decompressed(path: Path, folder: Path) -> Path:
    dataset = dcmread(path)
    dataset.decompress(generate_instance_uid=False)
    target = folder / path.name
    dataset.save_as(target, enforce_file_format=True)
    return target
