from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from plugin.datasets.deeplesion_folder import find_images, find_table
from plugin.datasets.deeplesion_images import read_volume
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.harvested import (
    StudyOutcome,
    Summary,
)
from plugin.datasets.harvested.sources import scout
from plugin.evaluation import deeplesion_cases
from tests.harvested_cases import (
    build,
    by_hand,
    contents,
    estimates,
    graphics_by_hand,
    mark,
    redraw,
    rows,
    save,
)
from tests.report_cases import encoded, readers_bookmarks, series, shared_data

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.volume import Volume


def test_a_bookmark_becomes_a_row_and_its_slices(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source)), tmp_path)
    (outcome,), summary = build(target, [report, *images.iterdir()], nifti=True, key_slices=True)
    assert outcome == StudyOutcome(1, 0, ())
    (row,) = rows(target)
    # Slice 20 of 40 from the feet, 6 mm apart, is 20 from the head; 30 mm are 5 slices.
    assert (row.file_name, row.slice_range) == ("000001_01_01_020.png", (15, 25))
    assert row.measurement == (15, 31, 25, 31, 20, 28, 20, 34)
    assert row.box == (10, 23, 30, 39)
    assert row.diameters_px == (10, 6)
    assert row.spacing == (5.5, 5.5, 6.0)
    assert row.image_size == (64, 64)
    assert row.windows == (-1350, 150)
    assert (row.gender, row.age, row.possibly_noisy) == ("", 90, False)
    assert (row.coarse_type, row.lesion_type) == (5, "lung")
    assert summary == Summary(1, 1, 1, 1, summary.split, 1, 0, 0, 0)
    assert sum(summary.split) == 1
    assert summary.split[row.split - 1] == 1
    names = {name for name in contents(target) if not name.startswith("Images_png")}
    assert names == {
        "DL_info.csv",
        "estimates.csv",
        "Images_nifti/000001_01_01_015-025.nii.gz",
        "Key_slices/000001_01_01_020.dcm",
    }
    pictures = find_images(target)
    assert pictures is not None
    assert find_table(pictures) == target / "DL_info.csv"
    volume = read_volume(pictures, row)
    assert np.array_equal(volume.hu, source.hu[15:26])
    assert volume.spacing == pytest.approx(source.spacing)


def test_what_was_estimated_is_marked(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    marks = [mark(source, 1), mark(source, 2, 25), mark(source, 3, 30)]
    reports = [
        save(by_hand(source, marks[0], label="nodule"), tmp_path, "a"),
        save(by_hand(source, marks[1], label="Lungenrundherd"), tmp_path, "b"),
        save(by_hand(source, marks[2], label="x", site=True), tmp_path, "c"),
    ]
    build(target, [*reports, *images.iterdir()])
    told = {each["File_name"]: each for each in estimates(target)}
    bases = [told[f"000001_01_01_{n:03d}.png"]["Type_basis"] for n in (20, 15, 10)]
    assert bases == ["estimated", "label", "finding site"]
    assert {row.coarse_type for row in rows(target)} == {5}
    for each in told.values():
        assert (each["Source"], each["Author"]) == ("report", "person")
        assert each["Location_basis"] == "lung apex and base"
        assert each["Spacing_basis"] == "slices"
    places = [row.location for row in rows(target)]
    # Right lung, half way from front to back; head first, so z rises with the number.
    for place in places:
        assert place is not None
        assert place[0] == pytest.approx(0.27, abs=0.04)
        assert place[1] == pytest.approx(0.5, abs=0.06)
    heights = [place[2] for place in places if place]
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(0.4825, abs=0.02)


def test_slices_around_the_key_slice_are_enough(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source), label="unknown"), tmp_path)
    wanted = {each.sop_instance_uid for each in source.slices[18:23]}
    some = [path for path in images.iterdir() if dcmread(path).SOPInstanceUID in wanted]
    (outcome,), summary = build(target, [report, *some])
    assert outcome.new == 1
    (row,) = rows(target)
    assert (row.slice_range, row.key_slice) == ((1, 5), 3)
    # Lungs without an end in sight: no z, and so no place; x and y are in the other table.
    assert (row.location, summary.unknown_locations) == (None, 1)
    (told,) = estimates(target)
    assert (told["Location_z"], told["Location_basis"]) == ("NaN", "unknown")
    assert float(told["Location_x"]) == pytest.approx(0.27, abs=0.04)


def test_one_slice_is_enough_where_its_header_tells_the_distance(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source)), tmp_path)
    key = dcmread(images / "0021.dcm")
    assert key.SOPInstanceUID == source.slices[20].sop_instance_uid
    del key.SliceThickness
    path = save(key, tmp_path, "key")
    outcomes, _ = build(target, [report, path])
    assert outcomes[0].left_out[0].reason == "the distance of the slices is not told"
    outcomes, _ = build(target, [report, images / "0021.dcm"])
    assert outcomes[0].new == 1
    assert rows(target)[0].slice_range == (1, 1)
    assert estimates(target)[0]["Spacing_basis"] == "header"


def test_numbers_stay_when_more_slices_come(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    """Slices above those that were numbered first cannot be numbered with them."""
    first = save(by_hand(source, mark(source, 1, 20)), tmp_path, "a")
    below = save(by_hand(source, mark(source, 2, 16)), tmp_path, "b")
    above = save(by_hand(source, mark(source, 3, 30)), tmp_path, "c")
    files = sorted(images.iterdir())
    build(target, [first, *files[15:26]], [below, *files[8:26]], [above, *files])
    found = [(row.file_name, row.slice_range) for row in rows(target)]
    assert found == [
        ("000001_01_01_006.png", (1, 11)),
        ("000001_01_01_010.png", (5, 15)),
        ("000001_01_02_010.png", (5, 15)),
    ]
    pictures = find_images(target)
    assert pictures is not None
    for row, middle in zip(rows(target), (20, 16, 30), strict=True):
        assert np.array_equal(read_volume(pictures, row).hu, source.hu[middle - 5 : middle + 6])


def test_an_outlined_tumour_is_a_bookmark(target: Path) -> None:
    outlines = list(shared_data("rtstruct", "STS_042").iterdir())
    images = list(shared_data("series", "STS_042").iterdir())
    # Its contours refer to slices of the series from which this one was cropped.
    (outcome,), _ = build(target, [*outlines, *images])
    assert outcome.new == 1
    (row,) = rows(target)
    # 48.6 mm by the readers' own figures.
    assert row.axes_mm[0] == pytest.approx(48.6, abs=1.0)
    assert estimates(target)[0]["Source"] == "structure set"


def test_what_has_to_be_fetched_is_told_without_images(source: Volume, tmp_path: Path) -> None:
    key, other = (source.slices[i].sop_instance_uid for i in (20, 25))
    series_uid = source.series_instance_uid
    report = save(by_hand(source, mark(source)), tmp_path)
    assert scout([report]) == (1, {series_uid: {key}})
    ours = save(encoded(source, [mark(source)]), tmp_path, "ours")
    assert scout([ours]) == (0, {})
    graphics = save(graphics_by_hand(source, mark(source, 2, 25)), tmp_path, "pr")
    count, wanted = scout([report, graphics])
    assert count == 2
    assert {key, other} <= wanted[series_uid]


def test_a_prone_or_turned_patient_is_turned_back(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source)), tmp_path)
    straight, turned = target.with_name("straight"), target.with_name("turned")
    build(straight, [report, *images.iterdir()], key_slices=True)
    folder = tmp_path / "turned CT"
    folder.mkdir()
    for path in images.iterdir():
        _turn(path, folder / path.name)
    back = mark(
        source,
        long_axis=((49.0, 33.0), (39.0, 33.0)),
        short_axis=((44.0, 36.0), (44.0, 30.0)),
    )
    report = save(by_hand(source, back), tmp_path)
    build(turned, [report, *folder.iterdir()], key_slices=True)
    assert contents(turned) == contents(straight)


def _turn(path: Path, into: Path) -> None:
    """The same slice, stored with rows and columns the other way round."""
    dataset = dcmread(path)
    pixels = dataset.pixel_array[::-1, ::-1]
    far = np.array([63 * 5.5, 63 * 5.5, 0]) + dataset.ImagePositionPatient
    dataset.ImagePositionPatient = far.tolist()
    dataset.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(into)


def test_lengths_that_contradict_the_points_are_possibly_noisy(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    document = by_hand(source, mark(source))
    redraw(document, 0, [14, 30, 26, 30])
    build(target, [save(document, tmp_path), *images.iterdir()])
    (row,) = rows(target)
    assert row.diameters_px == (12, 6)
    assert row.possibly_noisy
    with pytest.raises(InvalidDataset, match="holds no series with bookmarks"):
        deeplesion_cases.key_slices(target, everything=True)


def test_a_harvested_set_is_judged_as_deeplesion_is(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(by_hand(source, mark(source), mark(source, 2, 25)), tmp_path)
    build(target, [report, *images.iterdir()])
    found = deeplesion_cases.key_slices(target, everything=True)
    assert [each.name for each in found] == ["000001_01_01_010-020", "000001_01_01_015-025"]
    assert [len(each.truths(each.volume())) for each in found] == [1, 1]


def test_bookmarks_of_real_readers_lie_on_their_lesions(target: Path, tmp_path: Path) -> None:
    names = ("LIDC-IDRI-0003-part", "STS_042")
    studies, expected = [], []
    for name in names:
        folder = shared_data("series", name)
        volume = series(folder)
        marks = readers_bookmarks(name, volume)
        expected += [sorted((m.long_axis_mm, m.short_axis_mm)) for m in marks]
        report = save(by_hand(volume, *marks, label="lesion"), tmp_path, name)
        studies.append([report, *folder.iterdir()])
    outcomes, _ = build(target, *studies)
    assert [each.new for each in outcomes] == [4, 1]
    pictures = find_images(target)
    assert pictures is not None
    measured = []
    for row in rows(target):
        column_mm, row_mm, _ = row.spacing
        assert column_mm == row_mm
        lengths = np.array(row.diameters_px) * column_mm
        assert lengths == pytest.approx(row.axes_mm, abs=0.002)
        measured.append(sorted(lengths.tolist()))
        image = read_volume(pictures, row).hu[row.slice_index(row.key_slice)]
        (x0, y0), (x1, y1) = row.long_axis
        # Soft tissue in the middle of the lesion.
        middle = image[round((y0 + y1) / 2), round((x0 + x1) / 2)]
        assert -100 < middle < 150
    assert sorted(measured) == pytest.approx(np.array(sorted(expected)), abs=0.01)
    # Nodules in the lung are told by what is around them.
    assert [row.coarse_type for row in rows(target)][:4] == [5] * 4


def test_pictures_are_of_16_bits_with_the_offset(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    build(target, [save(by_hand(source, mark(source)), tmp_path), *images.iterdir()])
    with Image.open(target / "Images_png" / "000001_01_01" / "020.png") as image:
        stored = np.asarray(image)
    assert stored.dtype == np.uint16
    assert np.array_equal(stored.astype(int) - 32768, source.hu[20].astype(int))
