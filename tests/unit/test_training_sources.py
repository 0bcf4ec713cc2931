"""One lesion in every layout that training reads comes out as the same sample."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import dcmread

from plugin.bookmark import LesionType
from plugin.datasets.deeplesion import Split
from plugin.datasets.deeplesion_table import read_table, write_table
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.harvested import Builder
from plugin.datasets.marked import Mark
from plugin.datasets.nodules import is_held_out
from plugin.datasets.outlines import Contour, filled_outlines
from plugin.datasets.series_folders import by_series
from plugin.detector.lattice import lattice
from plugin.training.config import KINDS, Config, Source
from plugin.training.prepare import pack
from plugin.training.samples import Annotation, Cutting, cut_samples, shape_on
from plugin.training.shape import Outline, Told
from plugin.training.sources import KINDS as READ
from plugin.training.sources import scans
from plugin.training.sources.box_lists import joined
from plugin.volume import Volume
from tests import harvested_cases as harvested
from tests import training_cases as cases

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plugin.training.samples import Sample

LUNG = list(LesionType).index(LesionType.LUNG)


def _samples(written: cases.Written, cutting: Cutting | None = None) -> list[Sample]:
    (scan,) = scans(replace(written.source, everything=True))
    return list(cut_samples(scan, cutting or Cutting()))


@pytest.mark.parametrize("layout", cases.LAYOUTS, ids=lambda each: each.__name__)
def test_a_lesion_is_where_and_as_large_as_it_was_marked(
    layout: Callable[[Path], cases.Written], tmp_path: Path
) -> None:
    (sample,) = _samples(layout(tmp_path))
    bright = np.argwhere(sample.hu > (cases.LESION_HU + cases.LUNG_HU) / 2)
    assert sample.lesion.centre == pytest.approx(bright.mean(axis=0), abs=0.6)
    assert sample.lesion.long_mm == pytest.approx(cases.DIAMETER_MM, abs=1.6)
    assert sample.lesion.short_mm == pytest.approx(cases.DIAMETER_MM, abs=1.6)
    assert sample.lesion.told.lesion_type == LUNG
    assert sample.spacing == (2.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("layout", "axes", "depth", "outline"),
    [
        (cases.deeplesion, True, False, Outline.KEY_SLICE),
        (cases.series, True, False, Outline.EVERYWHERE),
        (cases.lidc, True, True, Outline.EVERYWHERE),
        (cases.luna16, False, True, Outline.NOWHERE),
        (cases.voc, False, True, Outline.NOWHERE),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_was_not_marked_is_not_told(
    layout: Callable[[Path], cases.Written],
    axes: bool,
    depth: bool,
    outline: Outline,
    tmp_path: Path,
) -> None:
    (sample,) = _samples(layout(tmp_path))
    told = sample.lesion.told
    assert (told.axes, told.depth, told.outline) == (axes, depth, outline)
    assert (sample.mask is not None) == (outline is Outline.EVERYWHERE)


@pytest.mark.parametrize("layout", [cases.series, cases.lidc], ids=lambda each: each.__name__)
def test_an_outline_becomes_the_voxels_inside(
    layout: Callable[[Path], cases.Written], tmp_path: Path
) -> None:
    (sample,) = _samples(layout(tmp_path))
    assert sample.mask is not None
    bright = sample.hu > (cases.LESION_HU + cases.LUNG_HU) / 2
    both = (bright & sample.mask).sum()
    assert 2 * both / (bright.sum() + sample.mask.sum()) > 0.93


def test_the_ellipse_of_a_bookmark_may_be_left_alone(tmp_path: Path) -> None:
    written = cases.deeplesion(tmp_path)
    (sample,) = _samples(replace(written, source=replace(written.source, outline="none")))
    assert sample.lesion.told.outline is Outline.NOWHERE


def test_bookmarks_of_one_volume_know_each_other(tmp_path: Path) -> None:
    written = cases.deeplesion(tmp_path)
    (row,) = read_table(tmp_path / "DL_info.csv")
    moved = tuple(value + 12.0 for value in row.measurement)
    other = replace(row, measurement=moved, box=tuple(value + 12.0 for value in row.box))
    write_table(tmp_path / "DL_info.csv", [row, other])
    first, second = _samples(written, Cutting(unmarked=0.5))
    (neighbour,) = first.neighbours
    step = 12.0 * 0.9
    away = np.subtract(neighbour.centre, first.lesion.centre)
    assert away == pytest.approx([0.0, step, step], abs=1e-6)
    assert len(second.neighbours) == 1
    assert first.unmarked == 0.5


@pytest.mark.parametrize(
    "change", [{"slice_range": (3, 20)}, {"possibly_noisy": True}], ids=["overlapping", "doubted"]
)
def test_a_bookmark_that_is_not_learned_is_no_place_without_a_lesion(
    change: dict[str, Any], tmp_path: Path
) -> None:
    written = cases.deeplesion(tmp_path)
    (row,) = read_table(tmp_path / "DL_info.csv")
    number = row.key_slice - 2
    name = f"{row.series_name}_{number:03d}.png"
    moved = tuple(value + 12.0 for value in row.measurement)
    box = tuple(value + 12.0 for value in row.box)
    other = replace(row, measurement=moved, box=box, key_slice=number, file_name=name, **change)
    write_table(tmp_path / "DL_info.csv", [row, other])
    scan = next(each for each in scans(written.source) if each.name == row.volume_name)
    (sample,) = cut_samples(scan, Cutting())
    (neighbour,) = sample.neighbours
    away = np.subtract(neighbour.centre, sample.lesion.centre) * sample.spacing
    assert away == pytest.approx([2 * cases.SPACING[0], 12 * 0.9, 12 * 0.9], abs=1e-6)


@pytest.mark.parametrize(("split", "learned"), [(Split.TRAIN, 1), (Split.VALIDATION, 0)])
def test_the_official_split_is_kept(split: Split, learned: int, tmp_path: Path) -> None:
    source = cases.deeplesion(tmp_path, split).source
    assert len(scans(source)) == learned
    assert len(scans(replace(source, everything=True))) == 1


def test_a_held_out_patient_is_not_learned(tmp_path: Path) -> None:
    written = cases.series(tmp_path)
    assert len(scans(written.source)) == 1
    held = next(f"P{n}" for n in range(100) if is_held_out(f"P{n}"))
    entries = json.loads((tmp_path / "lesions.json").read_text())
    entries[0]["patient"] = held
    (tmp_path / "lesions.json").write_text(json.dumps(entries))
    assert scans(written.source) == []


@pytest.mark.parametrize("layout", [cases.series, cases.voc], ids=lambda each: each.__name__)
def test_a_series_whose_nodule_patches_are_held_out_is_not_learned(
    layout: Callable[[Path], cases.Written], tmp_path: Path
) -> None:
    source = layout(tmp_path).source
    assert len(scans(source)) == 1
    held = next(f"1.2.{n}" for n in range(100) if is_held_out(f"1.2.{n}"))
    for path in (tmp_path / "series" / "one").iterdir():
        dataset = dcmread(path)
        dataset.SeriesInstanceUID = held
        dataset.save_as(path)
    assert scans(source) == []
    assert len(scans(replace(source, everything=True))) == 1


@pytest.mark.parametrize("layout", [cases.lidc, cases.luna16], ids=lambda each: each.__name__)
def test_series_are_held_out_as_nodule_patches_are(
    layout: Callable[[Path], cases.Written], tmp_path: Path
) -> None:
    source = layout(tmp_path).source
    (uid,) = by_series(tmp_path / "series")
    assert len(scans(source)) == (not is_held_out(uid))


def test_the_direction_of_an_axis_is_that_in_the_patient() -> None:
    shown = Volume(cases.volume(), cases.affine() @ np.diag([1.0, 2.0, 1.0, 1.0]), (), ())
    drawn = Annotation((9.0, 42.0, 38.0), 20.0, 10.0, None, Told(), direction=(0.0, 3.0, 4.0))
    shape = shape_on(drawn, lattice(shown))
    assert shape.angle == pytest.approx(np.arctan2(6.0, 4.0))
    assert shape.depth_mm == 10.0


def test_every_kind_of_a_configuration_is_read() -> None:
    assert tuple(READ) == KINDS


def test_boxes_on_neighbouring_slices_are_one_lesion() -> None:
    def mark(index: int, column: float, label: str = "a") -> Mark:
        return Mark(0, index, (column, 0.0, column + 9.0, 9.0), None, label)

    chain = [mark(1, 0), mark(2, 2), mark(3, 4)]
    far, late, other = mark(2, 60), mark(5, 4), mark(3, 2, "b")
    found = joined([chain[0], chain[1], far, other, chain[2], late])
    assert found == [chain, [far], [other], [late]]


def test_outlines_have_holes_and_lie_in_the_volume() -> None:
    square = ((1.5, 1.5), (8.5, 1.5), (8.5, 8.5), (1.5, 8.5))
    hole = ((3.5, 3.5), (5.5, 3.5), (5.5, 5.5), (3.5, 5.5))
    contours = [Contour(2, square), Contour(2, hole), Contour(3, square), Contour(99, square)]
    found = filled_outlines(contours, (5, 12, 12))
    assert found is not None
    assert found.offset == (2, 2, 2)
    assert found.inside.sum(axis=(1, 2)).tolist() == [7 * 7 - 2 * 2, 7 * 7]
    assert filled_outlines([], (5, 12, 12)) is None


def test_what_was_harvested_is_learned_as_it_is(tmp_path: Path) -> None:
    shown = harvested.chest(tmp_path / "ct")
    bookmark = harvested.mark(shown)
    harvested.save(harvested.by_hand(shown, bookmark), tmp_path / "marks")
    with Builder(tmp_path / "set", harvested.SECRET, nifti=False) as builder:
        builder.add_study([*(tmp_path / "ct").iterdir(), *(tmp_path / "marks").iterdir()])
        builder.finish()
    (scan,) = scans(Source("deeplesion", tmp_path / "set", everything=True))
    (sample,) = cut_samples(scan, Cutting())
    assert sample.lesion.long_mm == pytest.approx(bookmark.long_axis_mm, rel=1e-3)
    assert sample.lesion.angle == pytest.approx(0.0, abs=1e-3)
    # The same place in the data set and in the series it came from.
    expected = shown.hu[20, 30, 19]
    z, y, x = np.round(sample.lesion.centre).astype(int)
    assert sample.hu[z, y, x] == pytest.approx(expected, abs=150)


def test_a_pack_is_written_once(tmp_path: Path) -> None:
    written = cases.deeplesion(tmp_path / "data")
    config = Config(output=tmp_path / "run", sources=(written.source,))
    seen: list[float] = []
    first = pack(written.source, config, lambda _, done: seen.append(done))
    again = pack(written.source, config, lambda _, done: seen.append(done))
    assert first == again
    assert seen == [1.0]
    other = pack(replace(written.source, unmarked=0.0), config, lambda *_: None)
    assert other.folder != first.folder
    assert other.entries[0].unmarked == 0.0


@pytest.mark.parametrize(
    ("layout", "broken", "said"),
    [
        (cases.deeplesion, "Images_png", "there is no Images_png"),
        (cases.lidc, "series", "there is no such folder"),
        (cases.lidc, "lidc/1.xml", "no XML is of a series in"),
        (cases.luna16, "series/one", "there is no series in it"),
        (cases.voc, "series/one/000.dcm", "no box is on an instance"),
    ],
)
def test_what_is_missing_is_named(
    layout: Callable[[Path], cases.Written], broken: str, said: str, tmp_path: Path
) -> None:
    source = layout(tmp_path).source
    target = tmp_path / broken
    if broken.endswith("000.dcm"):
        for path in target.parent.iterdir():
            if path != target:
                path.unlink()
    elif target.is_file():
        target.unlink()
    else:
        target.rename(tmp_path / "elsewhere")
        if broken.endswith("one"):
            target.parent.mkdir(exist_ok=True)
    with pytest.raises(InvalidDataset, match=said):
        scans(source)


def test_two_folders_of_one_series_are_refused(tmp_path: Path) -> None:
    cases.write_series(tmp_path / "one")
    cases.write_series(tmp_path / "two")
    with pytest.raises(InvalidDataset, match="two: is of the same series as one"):
        by_series(tmp_path)
