"""DeepLesion's slices as volumes, bookmarks and NIfTI; the numbers fit the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest
from PIL import Image

from plugin.bookmark import LesionType
from plugin.datasets.deeplesion import Split, bookmark, drawn_box
from plugin.datasets.deeplesion_folder import find_images, find_table
from plugin.datasets.deeplesion_images import read_volume, write_nifti
from plugin.datasets.deeplesion_table import read_table, write_table
from plugin.datasets.errors import InvalidDataset
from plugin.evaluation import deeplesion_cases
from tests.deeplesion_cases import row, write_slices

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.datasets.deeplesion import Row

#: Of the row below: slices 3 to 7 of 48 rows and 64 columns; one voxel is padding.
HU = np.random.default_rng(1).integers(-1000, 1500, (5, 48, 64)).astype(np.int16)
HU[0, 0, 0] = -3024


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_slices(tmp_path, row(), HU)


def test_a_volume_ascends_from_feet_to_head_in_hu(images: Path) -> None:
    volume = read_volume(images, row())
    # File 003 is nearest to the head: the last slice.
    assert np.array_equal(volume.hu[::-1], np.maximum(HU, -1024))
    assert volume.hu.dtype == np.float32
    assert volume.spacing == (2.5, 0.7, 0.8)
    steps = np.array([volume.to_patient(np.array(i, float)) for i in ([0, 0, 0], [1, 1, 1])])
    assert np.diff(steps, axis=0)[0] == pytest.approx([0.8, 0.7, 2.5])
    assert volume.to_patient(np.array([4.0, 0, 0])) == pytest.approx([0, 0, 0])
    assert len({each.sop_instance_uid for each in volume.slices}) == 5


def test_a_bookmark_has_the_coordinates_of_the_row(images: Path) -> None:
    volume = read_volume(images, row())
    found = bookmark(row(), volume)
    assert found.slice_index == 3
    assert found.sop_instance_uid == volume.slices[3].sop_instance_uid
    assert found.series_instance_uid == volume.series_instance_uid
    # Coordinates of the file start at 1; columns are 0.8 mm apart, rows 0.7 mm.
    assert found.long_axis == ((23.0, 29.0), (33.0, 29.0))
    assert found.short_axis == ((28.0, 26.0), (28.0, 32.0))
    assert (found.long_axis_mm, found.short_axis_mm) == pytest.approx((8.0, 4.2))
    assert found.box == (23.0, 26.0, 33.0, 32.0)
    assert found.lesion_type is LesionType.LUNG
    assert found.volume_mm3 == pytest.approx(np.pi / 6 * 8.0 * 4.2**2)


def test_the_attenuation_of_a_bookmark_is_that_of_its_ellipse(tmp_path: Path) -> None:
    hu = np.full((5, 48, 64), -900, np.int16)
    rows, columns = np.indices((48, 64))
    # File 004 is the second one; the middle is (28, 29) and the half axes are 5 and 3 pixels.
    hu[1][((columns - 28) / 5) ** 2 + ((rows - 29) / 3) ** 2 <= 1] = 40
    images = write_slices(tmp_path, row(), hu)
    assert bookmark(row(), read_volume(images, row())).mean_hu == 40.0


def test_a_lesion_smaller_than_a_pixel_has_an_attenuation(images: Path) -> None:
    tiny = row((30.3, 30.4, 30.6, 30.4, 30.4, 30.3, 30.4, 30.5))
    # Nearest to the middle, (29.45, 29.4) from 0, is column 29, row 29 of file 004.
    assert bookmark(tiny, read_volume(images, tiny)).mean_hu == HU[1, 29, 29]


def test_the_drawn_box_is_that_of_the_file() -> None:
    described = row()
    assert drawn_box(described.long_axis, described.short_axis) == described.drawn_box


def test_a_lesion_without_a_type_is_no_bookmark(images: Path) -> None:
    untyped = row(coarse_type=-1, split=Split.TRAIN)
    assert untyped.lesion_type is None
    with pytest.raises(InvalidDataset, match=r"000012_01_02_004\.png: Coarse_lesion_type -1"):
        bookmark(untyped, read_volume(images, untyped))


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), r"005\.png: "),
        (lambda path: path.write_bytes(b"no PNG"), "cannot identify image file"),
        (lambda path: Image.new("L", (64, 48)).save(path), "is not a grey PNG of 16 bits"),
        (
            lambda path: Image.fromarray(np.zeros((64, 48), np.uint16)).save(path),
            r"has 48 x 64 pixels, 000012_01_02_004\.png says 64 x 48",
        ),
    ],
)
def test_a_broken_slice_is_named(images: Path, break_it: object, said: str) -> None:
    break_it(images / "000012_01_02" / "005.png")  # type: ignore[operator]
    with pytest.raises(InvalidDataset, match=said) as caught:
        read_volume(images, row())
    assert "005.png" in str(caught.value)


def test_nifti_is_what_nih_writes_and_lies_where_the_volume_lies(images: Path) -> None:
    path = write_nifti(images, row(), images)
    assert path.name == "000012_01_02_003-007.nii.gz"
    written = nibabel.load(path)
    stored = np.asanyarray(written.dataobj)
    assert stored.dtype == np.int16
    # Axes (row, column, slice), head first, padding as it is.
    assert np.array_equal(stored.transpose(2, 0, 1), HU)
    assert written.affine.tolist() == pytest.approx(
        np.array([[0, -0.8, 0, 0], [-0.7, 0, 0, 0], [0, 0, -2.5, 0], [0, 0, 0, 1]])
    )
    # The same voxel in both: slice 6 is index 1 of the volume and 3 of the file.
    lps = read_volume(images, row()).to_patient(np.array([1.0, 20, 30]))
    ras = written.affine @ [20, 30, 3, 1]
    assert lps == pytest.approx(ras[:3] * [-1, -1, 1])


def test_the_table_is_looked_for_beside_the_images(images: Path, tmp_path: Path) -> None:
    assert find_images(tmp_path) == images
    with pytest.raises(InvalidDataset, match=r"there is no DL_info\.csv"):
        find_table(images)
    (tmp_path / "annotations").mkdir()
    part = tmp_path / "annotations" / "DL_info_test_split.csv"
    write_table(part, [row()])
    assert find_table(images) == part
    write_table(part.with_name("DL_info_train.csv"), [row()])
    with pytest.raises(InvalidDataset, match=r"which of DL_info_test_split\.csv, DL_info_train\.c"):
        find_table(images)
    write_table(tmp_path / "DL_info.csv", [row()])
    assert find_table(images) == tmp_path / "DL_info.csv"


def _judged(folder: Path, rows: list[Row], *, everything: bool = False) -> list[tuple[str, int]]:
    write_table(folder / "DL_info.csv", rows)
    cases = deeplesion_cases.key_slices(folder, everything=everything)
    return [(case.name, len(case.truths(case.volume()))) for case in cases]


def test_the_test_split_is_judged_without_what_its_authors_doubt(
    images: Path, tmp_path: Path
) -> None:
    assert images.is_dir()
    other = row(split=Split.TRAIN, slice_range=(4, 6))
    rows = [row(), row(key_slice=5), row(possibly_noisy=True), other, row(patient=99)]
    assert _judged(tmp_path, rows) == [("000012_01_02_003-007", 2)]
    assert _judged(tmp_path, rows, everything=True) == [
        ("000012_01_02_003-007", 2),
        ("000012_01_02_004-006", 1),
    ]
    with pytest.raises(InvalidDataset, match="holds no series with bookmarks"):
        _judged(tmp_path, [row(patient=99)])


def test_a_case_knows_its_key_slice(images: Path, tmp_path: Path) -> None:
    write_table(images.parent / "DL_info.csv", [row()])
    (case,) = deeplesion_cases.key_slices(tmp_path)
    (truth,) = case.truths(case.volume())
    assert truth.key is not None
    assert (truth.key.slice_index, truth.key.box) == (3, row().drawn_box)
    assert (truth.lesion_type, case.unit) == ("lung", "patient 12")
    assert truth.centre == pytest.approx([28 * 0.8, 29 * 0.7, -2.5])


def test_real_bookmarks_lie_on_their_lesions(data: Path) -> None:
    images = find_images(data)
    assert images is not None
    folders = {path.name for path in images.iterdir()}
    rows = [r for r in read_table(find_table(images)) if r.series_name in folders]
    assert len(rows) == 3
    for each in rows:
        volume = read_volume(images, each)
        found = bookmark(each, volume)
        # Soft tissue inside, less around: fat and lung.
        assert 0 < found.mean_hu < 150, each.file_name
        image = volume.hu[found.slice_index]
        column0, row0, column1, row1 = (round(edge) for edge in each.drawn_box)
        assert image[row0 : row1 + 1, column0 : column1 + 1].mean() < found.mean_hu - 20
        lengths = np.array([found.long_axis_mm, found.short_axis_mm])
        given = np.array(each.diameters_px) * each.spacing[0]
        assert lengths == pytest.approx(given, abs=0.001)


def test_a_real_bookmark_fits_the_mask_of_its_lesion(data: Path) -> None:
    masks = data / "deeplesion" / "volumes" / "CT_Lesion_000001_02_01_008-023.npz"
    rows = read_table(data / "deeplesion" / "annotations" / "DL_info_test_split.csv")
    (each,) = (r for r in rows if r.file_name == "000001_02_01_017.png")
    with np.load(masks) as stored:
        # Head first, [slice, column, row].
        mask = stored["gts"][each.key_slice - each.slice_range[0]].T
    outline = np.argwhere(mask)[:, ::-1]  # (column, row)
    for end in (*each.long_axis, *each.short_axis):
        assert np.linalg.norm(outline - end, axis=1).min() < 2.5
    middle = np.mean(each.long_axis, axis=0)
    assert np.linalg.norm(outline.mean(axis=0) - middle) < 3
