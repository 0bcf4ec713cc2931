"""A report in OHIF over Orthanc, in a real browser: what a radiologist sees."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread

from plugin.datasets.phantom import Spec, make
from plugin.report import read as read_report
from plugin.volume import read
from tests.acceptance.validators import HERE, install_node_packages, run, tool
from tests.conftest import missing
from tests.report_cases import bookmark, data_folder, made, readers_bookmarks, written

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

    from deploy.local_pacs import OrthancPacs
    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

VIEWER = "@ohif/app@3.13.2"
VIEWER_SHA512 = (
    "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
)
#: Where the built viewer is kept between runs: beside the packages, which no tool looks into.
VIEWER_FOLDER = HERE / "node_modules" / ".ohif-3.13.2"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def viewer() -> Path:
    """Folder of a built OHIF."""
    install_node_packages()
    dist = VIEWER_FOLDER / "package" / "dist"
    if not dist.exists():
        _unpack(_download(VIEWER_FOLDER), VIEWER_FOLDER)
    return dist


def _download(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    status, lines = run(tool("npm"), "pack", VIEWER, "--pack-destination", str(folder))
    if status:
        missing(f"{VIEWER} ({lines[-1] if lines else 'npm pack failed'})")
    (packed,) = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    assert digest == VIEWER_SHA512
    return packed


def _unpack(packed: Path, folder: Path) -> None:
    # Python before 3.11.4, which Debian 12 has, knows no safe way to unpack.
    status, lines = run(
        tool("tar"), "-xzf", str(packed), "-C", str(folder), "--exclude=*.map", "package/dist"
    )
    assert status == 0, lines
    packed.unlink()


@pytest.fixture
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing("chromium")
    return str(found)


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, Volume, Bookmark]:
    """A folder of images, their volume and one lesion: of a real chest where it is at hand."""
    real = data_folder() / "series" / "LIDC-IDRI-0001"
    if real.is_dir():
        source = read(real.iterdir())
        return real, source, readers_bookmarks(real.name, source)[0]
    make(tmp_path / "phantom", Spec())
    source = read((tmp_path / "phantom").iterdir())
    return tmp_path / "phantom", source, bookmark(source)


def test_ohif_loads_the_report_and_draws_the_lesion(
    study: tuple[Path, Volume, Bookmark],
    viewer: Path,
    browser: str,
    orthanc: OrthancPacs,
    tmp_path: Path,
) -> None:
    folder, source, mark = study
    report = made(source, [mark])[0]
    for path in [*folder.iterdir(), *written(tmp_path, [report])]:
        orthanc.upload(path)

    picture = tmp_path / "seen.png"
    script = str(HERE / "ohif" / "view_report.mjs")
    order = (tool("node"), script, str(viewer), orthanc.url, report.StudyInstanceUID, str(picture))
    status, lines = run(*order, CHROMIUM=browser)
    assert status == 0, "\n".join(lines)
    seen = json.loads(lines[-1])

    (drawn,) = seen["measurements"]
    assert drawn["tool"] == "Bidirectional"
    assert drawn["label"].startswith(f"Lesion 1: {mark.lesion_type.value} ")
    assert drawn["instance"] == mark.sop_instance_uid
    assert drawn["length"] == pytest.approx(mark.long_axis_mm, abs=0.05)
    assert drawn["width"] == pytest.approx(mark.short_axis_mm, abs=0.05)
    assert f"L: {mark.long_axis_mm:.1f} mm" in seen["text"]
    assert f"/instances/{mark.sop_instance_uid}/" in seen["image"]
    assert picture.stat().st_size > 0
    assert_viewers_report_reads_back(
        dcmread(BytesIO(orthanc.download(seen["stored"]))), source, mark
    )


def assert_viewers_report_reads_back(stored: Dataset, source: Volume, mark: Bookmark) -> None:
    """The report that OHIF stores of the lesion gives the same bookmark, under a UID of its own."""
    assert stored.Manufacturer != "lesionmark"
    found = read_report(stored, source.slices)
    assert found.remarks == ()
    (back,) = found.bookmarks
    assert (back.sop_instance_uid, back.slice_index) == (mark.sop_instance_uid, mark.slice_index)
    assert back.lesion_type is mark.lesion_type
    lengths = back.long_axis_mm, back.short_axis_mm
    assert lengths == pytest.approx((mark.long_axis_mm, mark.short_axis_mm), abs=0.01)
    for drawn, measured in zip(
        (back.long_axis, back.short_axis), (mark.long_axis, mark.short_axis), strict=True
    ):
        assert np.abs(np.sort(drawn, axis=0) - np.sort(measured, axis=0)).max() < 0.01
