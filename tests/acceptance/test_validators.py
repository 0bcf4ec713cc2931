"""Reports as validators and viewers see them, of real series and of synthetic geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from plugin import Series
from plugin.analysis import build
from plugin.datasets.phantom import Orientation, Spec
from plugin.datasets.phantom import make as draw_phantom
from plugin.report import encode
from plugin.volume import read as read_volume
from tests.acceptance.validators import dciodvfy, dsrdump, hydrated, pixelmed
from tests.report_cases import (
    MODEL,
    NOW,
    Geometry,
    bookmark,
    enhanced,
    readers_bookmarks,
    series,
    shared_data,
    volume,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

UPRIGHT = Geometry()
#: Attributes that a real study has.
COMPLETE = {"StudyID": "1", "StudyDate": "20260101", "StudyTime": "010203", "PatientSex": "O"}


@dataclass(frozen=True)
class Case:
    """A report on disk and what it was made of."""

    path: Path
    source: Volume
    bookmarks: list[Bookmark]


def synthetic(
    geometry: Geometry = UPRIGHT, lesions: int = 2
) -> Callable[[], tuple[Volume, list[Bookmark]]]:
    def make() -> tuple[Volume, list[Bookmark]]:
        source = volume(geometry, **COMPLETE)
        return source, [bookmark(source, number + 1) for number in range(lesions)]

    return make


def real(name: str) -> Callable[[], tuple[Volume, list[Bookmark]]]:
    def make() -> tuple[Volume, list[Bookmark]]:
        source = series(shared_data("series", name))
        return source, readers_bookmarks(name, source)

    return make


def phantom(**spec: Any) -> Callable[[], tuple[Volume, list[Bookmark]]]:
    """What the plugin itself finds in a chest that is drawn for it."""

    def make() -> tuple[Volume, list[Bookmark]]:
        with TemporaryDirectory() as name:
            draw_phantom(Path(name), Spec(**spec))
            analysis = build({}).analyse(Series("", tuple(Path(name).iterdir())), None, NOW)
            assert analysis.bookmarks
            return read_volume(Path(name).iterdir()), list(analysis.bookmarks)

    return make


def real_with_drawn_lesion(name: str) -> Callable[[], tuple[Volume, list[Bookmark]]]:
    """A real series whose lesions nobody has marked, with one that is made up."""

    def make() -> tuple[Volume, list[Bookmark]]:
        source = series(shared_data("series", name))
        return source, [bookmark(source)]

    return make


def normal_phantom() -> tuple[Volume, list[Bookmark]]:
    """A chest in which nothing was found."""
    with TemporaryDirectory() as name:
        draw_phantom(Path(name), Spec(lesions=()))
        return read_volume(Path(name).iterdir()), []


def multi_frame() -> tuple[Volume, list[Bookmark]]:
    source = enhanced()
    return source, [bookmark(source)]


SERIES = {
    "axial": synthetic(),
    "without lesions": synthetic(lesions=0),
    "tilted gantry": synthetic(Geometry(shear=0.8)),
    "sagittal": synthetic(
        Geometry(orientation=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)), spacing=(2, 0.6, 0.6))
    ),
    "multi-frame": multi_frame,
    "phantom": phantom(),
    "phantom, normal": normal_phantom,
    "phantom, tilted gantry": phantom(tilt=15.0),
    "phantom, sagittal": phantom(orientation=Orientation.SAGITTAL, shape=(120, 256, 256)),
    "LIDC-IDRI-0001": real("LIDC-IDRI-0001"),
    "Lung_Dx-A0001-3": real("Lung_Dx-A0001-3"),
    "STS_003": real("STS_003"),
    "CRLM-CT-1004": real_with_drawn_lesion("CRLM-CT-1004"),
}


#: Those that differ in their tree; a run of PixelMed takes ten seconds.
TREES = ["axial", "without lesions", "multi-frame", "LIDC-IDRI-0001"]


@pytest.fixture(scope="module", params=SERIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    source, bookmarks = SERIES[request.param]()
    return written(tmp_path_factory.mktemp("report"), source, bookmarks)


def written(
    folder: Path,
    source: Volume,
    bookmarks: list[Bookmark],
    sop_class: str = Comprehensive3DSRStorage,
    earlier: Path | None = None,
) -> Case:
    document = encode(
        source, bookmarks, model=MODEL, earlier_report=earlier, now=NOW, sop_class=sop_class
    )
    path = folder / f"{document.SOPInstanceUID}.dcm"
    document.save_as(path, enforce_file_format=True)
    return Case(path, source, bookmarks)


def test_dciodvfy_finds_no_error(case: Case) -> None:
    assert dciodvfy(case.path) == []


def test_dcmtk_reads_the_report(case: Case) -> None:
    assert dsrdump(case.path) == []


@pytest.mark.parametrize("case", TREES, indirect=True)
def test_pixelmed_finds_a_valid_measurement_report(case: Case) -> None:
    assert pixelmed(case.path) == []


def test_a_viewer_draws_both_diameters_of_every_lesion(case: Case, tmp_path: Path) -> None:
    found = hydrated(case.path, case.source, tmp_path)
    assert [each["tool"] for each in found] == ["Bidirectional"] * len(case.bookmarks)
    for number, (drawn, mark) in enumerate(zip(found, case.bookmarks, strict=True), start=1):
        assert drawn["label"].startswith(f"Lesion {number}: {mark.lesion_type.value} ")
        assert drawn["image"] == f"{mark.sop_instance_uid}:{mark.frame_number or 1}"
        assert drawn["trackingUid"] == mark.tracking_uid
        assert drawn["unit"] == "mm"
        lengths = mark.long_axis_mm, mark.short_axis_mm
        assert (drawn["length"], drawn["width"]) == pytest.approx(lengths, abs=0.01)
        assert np.abs(drawn["points"] - in_patient(mark, case.source)).max() < 0.01


def in_patient(mark: Bookmark, source: Volume) -> NDArray[np.float64]:
    """The ends of the long and the short axis in LPS mm, [4, 3], as a viewer has them."""
    ends = [
        (mark.slice_index, row, column)
        for axis in (mark.long_axis, mark.short_axis)
        for column, row in axis
    ]
    return source.to_patient(np.array(ends))


@pytest.mark.parametrize("sop_class", [ComprehensiveSRStorage, EnhancedSRStorage])
def test_the_other_sop_classes_are_valid_too(sop_class: str, tmp_path: Path) -> None:
    source = volume(**COMPLETE)
    report = written(tmp_path, source, [bookmark(source)], sop_class)
    complaints = [check(report.path) for check in (dciodvfy, dsrdump, pixelmed)]
    assert complaints == [[], [], []]
    assert len(hydrated(report.path, source, tmp_path)) == 1


def test_a_revised_report_is_valid(tmp_path: Path) -> None:
    whole = volume(**COMPLETE)
    part = type(whole)(whole.hu[:4], whole.affine, whole.slices[:4], whole.headers[:4])
    earlier = written(tmp_path, part, [])
    revised = written(tmp_path, whole, [bookmark(whole)], earlier=earlier.path)
    complaints = [check(revised.path) for check in (dciodvfy, dsrdump)]
    assert complaints == [[], []]
