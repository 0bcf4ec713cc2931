"""Every object that is sent, as validators and viewers see it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import dcmread

from plugin import Kind, Series
from plugin.analysis import build
from plugin.datasets.phantom import Orientation, Spec
from plugin.datasets.phantom import make as draw_phantom
from plugin.report import products
from plugin.volume import read as read_volume
from tests.acceptance.validators import dciodvfy, dcmpschk, dsrdump, hydrated, pixelmed
from tests.report_cases import (
    NOW,
    Geometry,
    bookmark,
    enhanced,
    findings,
    made,
    readers_bookmarks,
    series,
    shared_data,
    volume,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from plugin import Product
    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

    #: A series, its lesions, and all objects that are made of them.
    Made = tuple[Volume, Sequence[Bookmark], Sequence[Product]]

UPRIGHT = Geometry()
#: Attributes that a real study has.
COMPLETE = {"StudyID": "1", "StudyDate": "20260101", "StudyTime": "010203", "PatientSex": "O"}


@dataclass(frozen=True)
class Case:
    """The objects of one series on disk and what they were made of."""

    source: Volume
    bookmarks: Sequence[Bookmark]
    #: Files by kind; the report in each of its forms.
    paths: dict[Kind, list[Path]]


def all_of(source: Volume, bookmarks: Sequence[Bookmark]) -> Made:
    objects, remarks = products(findings(source, bookmarks), frozenset(Kind))
    assert remarks == ()
    return source, bookmarks, objects


def synthetic(geometry: Geometry = UPRIGHT, lesions: int = 2) -> Callable[[], Made]:
    def make() -> Made:
        source = volume(geometry, **COMPLETE)
        return all_of(source, [bookmark(source, number + 1) for number in range(lesions)])

    return make


def real(name: str) -> Callable[[], Made]:
    """A real series with what its readers marked."""

    def make() -> Made:
        source = series(shared_data("series", name))
        return all_of(source, readers_bookmarks(name, source))

    return make


def real_with_drawn_lesion(name: str, lesions: int = 1) -> Callable[[], Made]:
    """A real series whose lesions nobody has marked, with some that are made up."""

    def make() -> Made:
        source = series(shared_data("series", name))
        return all_of(source, [bookmark(source, number + 1) for number in range(lesions)])

    return make


def phantom(**spec: Any) -> Callable[[], Made]:
    """What the plugin itself finds in a chest that is drawn for it."""

    def make() -> Made:
        with TemporaryDirectory() as name:
            draw_phantom(Path(name), Spec(**spec))
            paths = tuple(Path(name).iterdir())
            plugin = build({"objects": list(Kind)})
            analysis = plugin.analyse(Series("", paths), None, NOW)
            assert analysis.bookmarks
            assert analysis.remarks == ()
            return read_volume(paths), analysis.bookmarks, analysis.objects

    return make


def normal_phantom() -> Made:
    """A chest in which nothing was found."""
    with TemporaryDirectory() as name:
        draw_phantom(Path(name), Spec(lesions=()))
        return all_of(read_volume(Path(name).iterdir()), [])


def multi_frame() -> Made:
    source = enhanced(**COMPLETE)
    return all_of(source, [bookmark(source)])


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
    "CRLM-CT-1004, nothing found": real_with_drawn_lesion("CRLM-CT-1004", lesions=0),
}
#: Those that differ in their tree. A run of PixelMed takes up to ten seconds; all series are
#: taken with LESIONMARK_ALL_SERIES=1 in the environment.
TREES = ["axial", "without lesions", "multi-frame", "LIDC-IDRI-0001"]
WITH_PIXELMED = list(SERIES) if os.environ.get("LESIONMARK_ALL_SERIES") == "1" else TREES


@pytest.fixture(scope="module", params=SERIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    source, bookmarks, objects = SERIES[request.param]()
    folder = tmp_path_factory.mktemp("objects")
    paths = {
        kind: written(folder, [each.dataset for each in objects if each.kind is kind])
        for kind in Kind
    }
    return Case(source, bookmarks, paths)


def test_every_kind_is_there(case: Case) -> None:
    counts = {kind: len(paths) for kind, paths in case.paths.items()}
    one = bool(case.bookmarks)
    assert counts == {
        Kind.REPORT: 3,
        Kind.KEY_IMAGES: len(case.bookmarks),
        Kind.PRESENTATION_STATE: one,
        Kind.KEY_OBJECTS: one,
        Kind.SEGMENTATION: one,
    }


def test_dciodvfy_finds_no_error(case: Case) -> None:
    for kind, paths in case.paths.items():
        assert [dciodvfy(path) for path in paths] == [[]] * len(paths), kind


def test_dcmtk_reads_documents(case: Case) -> None:
    for path in case.paths[Kind.REPORT] + case.paths[Kind.KEY_OBJECTS]:
        assert dsrdump(path) == []


def test_dcmtk_finds_a_valid_presentation_state(case: Case, tmp_path: Path) -> None:
    for path in case.paths[Kind.PRESENTATION_STATE]:
        state = dcmread(path)
        # dcmpschk wants a name, which real images may lack; they are filed by their Patient ID.
        state.PatientName = state.PatientName or "Doe^Jane"
        (named,) = written(tmp_path, [state])
        assert dcmpschk(named) == []


@pytest.mark.parametrize("case", WITH_PIXELMED, indirect=True)
def test_pixelmed_finds_a_valid_measurement_report(case: Case) -> None:
    assert pixelmed(case.paths[Kind.REPORT][0]) == []


@pytest.mark.parametrize("case", WITH_PIXELMED[2:], indirect=True)
def test_pixelmed_finds_a_valid_key_object_selection(case: Case) -> None:
    for path in case.paths[Kind.KEY_OBJECTS]:
        assert pixelmed(path, template=2010) == []


def test_a_viewer_draws_both_diameters_of_every_lesion(case: Case, tmp_path: Path) -> None:
    found = hydrated(case.paths[Kind.REPORT][0], case.source, tmp_path)
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


@pytest.mark.parametrize("form", [1, 2], ids=["Comprehensive SR", "Enhanced SR"])
def test_the_other_forms_are_drawn_too(form: int, tmp_path: Path) -> None:
    source, _, objects = synthetic(lesions=1)()
    (path,) = written(tmp_path, [objects[form].dataset])
    assert pixelmed(path) == []
    assert len(hydrated(path, source, tmp_path)) == 1


def test_a_revised_report_is_valid(tmp_path: Path) -> None:
    whole = volume(**COMPLETE)
    part = type(whole)(whole.hu[:4], whole.affine, whole.slices[:4], whole.headers[:4])
    earlier = written(tmp_path, made(part, []))
    revised = written(tmp_path, made(whole, [bookmark(whole)], earlier_reports=earlier))
    complaints = [check(path) for check in (dciodvfy, dsrdump) for path in revised]
    assert complaints == [[]] * 6
