from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import Dataset

from plugin.bookmark import LesionType
from plugin.datasets.deeplesion_folder import find_images, find_table
from plugin.datasets.deeplesion_images import read_volume
from plugin.datasets.deeplesion_table import read_table
from plugin.datasets.harvested import words
from plugin.datasets.harvested.body import find_body
from plugin.datasets.harvested.lesion_type import by_place, estimate
from plugin.datasets.harvested.location import APEX_Z, BASE_Z, Basis, Lungs, ends, place
from plugin.report import codes
from plugin.volume import read
from tests.report_cases import shared_data

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PIXEL_MM = 2.0


def body(*, lung: bool = True, mattress: bool = False) -> NDArray[np.float32]:
    """A body of 100 x 80 pixels in an image of 200 x 160, HU: columns 50 to 149, rows 40 to 119."""
    hu = np.full((160, 200), -1000, np.float32)
    hu[40:120, 50:150] = 40
    if lung:
        hu[60:100, 60:90] = hu[60:100, 110:140] = -850
    if mattress:
        hu[122:140, 20:180] = -900
    return hu


def test_the_body_is_found_with_its_lungs_and_without_the_mattress() -> None:
    for mattress in (False, True):
        found = find_body(body(mattress=mattress), PIXEL_MM)
        assert found.box == (50, 40, 149, 119)
        # 2 x 40 x 30 of 100 x 80 pixels, less what opening takes from their edges.
        assert found.lung == pytest.approx(0.3, abs=0.02)
    assert find_body(body(lung=False), PIXEL_MM).lung == 0
    assert find_body(np.full((160, 200), -1000, np.float32), PIXEL_MM).box is None


def test_a_body_that_the_field_of_view_cuts_keeps_its_lungs() -> None:
    """The chest wall is seen in front only; the lungs reach the edges of the image."""
    hu = np.full((160, 200), -850, np.float32)
    hu[:30] = -1000
    hu[30:60] = hu[60:, 80:120] = 40
    found = find_body(hu, PIXEL_MM)
    assert found.box == (0, 30, 199, 159)
    assert found.lung == pytest.approx(160 * 100 / (130 * 200), abs=0.03)


def test_two_legs_are_one_body() -> None:
    hu = np.full((160, 200), -1000, np.float32)
    hu[60:100, 30:80] = hu[60:100, 120:170] = 40
    assert find_body(hu, PIXEL_MM).box == (30, 60, 169, 99)


@pytest.mark.parametrize(
    ("shares", "apex", "base"),
    [
        # Slices 10 mm apart.
        ([0, 0.01, 0.1] + [0.3] * 20 + [0.1, 0.01, 0], 10, 240),
        ([0.3] * 20 + [0.1, 0.01, 0], None, 210),
        ([0, 0.01, 0.1] + [0.3] * 20, 10, None),
        ([0.3] * 20, None, None),
        ([0.0] * 20, None, None),
        # The end is out of sight: it is where the share would come to nothing.
        ([0.4, 0.36, 0.3, 0.24, 0.18], None, 70),
        ([0.12, 0.18, 0.24, 0.3, 0.36], -20, None),
        # A single slice with air in it is no lung, and neither are two ends too near each other.
        ([0, 0, 0, 0.4, 0, 0, 0], None, None),
        ([0, 0, 0.2, 0.2, 0.2, 0, 0], None, None),
        ([], None, None),
    ],
)
def test_the_ends_of_the_lungs(shares: list[float], apex: float | None, base: float | None) -> None:
    found = ends([10.0 * i for i in range(len(shares))], shares)
    assert (found.apex, found.base) == (
        None if apex is None else pytest.approx(apex, abs=1),
        None if base is None else pytest.approx(base, abs=1),
    )


def test_z_hangs_on_the_ends_in_sight() -> None:
    both, apex, base = Lungs(100.0, 300.0), Lungs(100.0, None), Lungs(None, 300.0)
    assert both.z(100) == pytest.approx(APEX_Z)
    assert both.z(200) == pytest.approx((APEX_Z + BASE_Z) / 2)
    assert both.z(300) == pytest.approx(BASE_Z)
    assert both.z(560) == pytest.approx(BASE_Z + 0.2)
    assert apex.z(100 + 242) == pytest.approx(BASE_Z)
    assert base.z(300 - 242) == pytest.approx(APEX_Z)
    assert Lungs(None, None).z(100) is None
    assert [each.basis for each in (both, apex, base, Lungs(None, None))] == [
        Basis.LUNG_APEX_AND_BASE,
        Basis.LUNG_APEX,
        Basis.LUNG_BASE,
        Basis.UNKNOWN,
    ]


def test_a_place_is_the_share_of_the_body() -> None:
    found = find_body(body(), PIXEL_MM)
    axes = ((60.0, 50.0), (79.0, 50.0)), ((69.5, 40.0), (69.5, 60.0))
    x, y, z = place(*axes, found, 0.5)
    assert (x, y, z) == pytest.approx((19.5 / 99, 10 / 79, 0.5), abs=1e-6)
    assert place(*axes, find_body(np.full((20, 20), -1000, np.float32), 1.0), None) == (
        (None, None, None)
    )


@pytest.mark.parametrize(
    ("around", "where", "expected"),
    [
        (-850, None, LesionType.LUNG),
        (700, None, LesionType.BONE),
        # The lung is no place for a liver, nor the other way round: pixels come first.
        (-850, (0.3, 0.47, 0.6), LesionType.LUNG),
        (60, None, None),
        (60, (0.30, 0.47, 0.60), LesionType.LIVER),
        (60, (0.50, 0.45, 0.44), LesionType.MEDIASTINUM),
        (60, (0.47, 0.49, 0.80), LesionType.PELVIS),
        (60, (0.54, 0.49, 0.64), LesionType.ABDOMEN),
        (60, (0.15, 0.20, 0.35), LesionType.SOFT_TISSUE),
    ],
)
def test_the_type_is_told_by_surroundings_then_by_place(
    around: float, where: tuple[float, ...] | None, expected: LesionType | None
) -> None:
    hu = np.full((60, 60), around, np.float32)
    hu[25:35, 20:40] = 40
    axes = ((20.0, 30.0), (39.0, 30.0)), ((30.0, 25.0), (30.0, 34.0))
    assert estimate(hu, axes, 1.0, where) is expected


def test_the_place_alone_tells_most_types_of_deeplesion() -> None:
    path = shared_data("deeplesion", "annotations", "DL_info_test_split.csv")
    told = [
        by_place(row.location) is row.lesion_type
        for row in read_table(path)
        if row.location and row.lesion_type not in (LesionType.LUNG, LesionType.BONE)
    ]
    assert len(told) > 3000
    assert np.mean(told) > 0.8


def test_places_are_near_those_of_deeplesion() -> None:
    images = find_images(shared_data("deeplesion"))
    assert images is not None
    present = {path.name for path in images.iterdir()}
    rows = [row for row in read_table(find_table(images)) if row.series_name in present]
    assert len(rows) == 3
    for row in rows:
        volume = read_volume(images, row)
        shown = [find_body(image, row.spacing[0]) for image in volume.hu[::-1]]
        lungs = ends([row.spacing[2] * i for i in range(len(shown))], [each.lung for each in shown])
        index = row.key_slice - row.slice_range[0]
        z = lungs.z(row.spacing[2] * index)
        found = place(row.long_axis, row.short_axis, shown[index], z)
        assert row.location is not None
        # The field of view cuts the body of all three: its extent is a guess.
        assert found == pytest.approx(row.location, abs=0.09)


def test_the_lungs_of_a_real_chest_have_their_ends() -> None:
    volume = read(_chest().iterdir())
    shares = [find_body(image, volume.spacing[1]).lung for image in volume.hu[::-3]]
    found = ends([3 * volume.spacing[0] * i for i in range(len(shares))], shares)
    assert (found.apex, found.base) == (pytest.approx(18, abs=8), pytest.approx(262, abs=10))


def _chest() -> Path:
    return shared_data("series", "LIDC-IDRI-0001")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lung nodule, RUL", LesionType.LUNG),
        ("Lungenrundherd rechts", LesionType.LUNG),
        ("nodule pulmonaire", LesionType.LUNG),
        ("LIVER seg. VII", LesionType.LIVER),
        ("Lebermetastase", LesionType.LIVER),
        ("left adrenal", LesionType.ABDOMEN),
        ("renal mass", LesionType.KIDNEY),
        ("Nierenzyste links", LesionType.KIDNEY),
        ("paratracheal node", LesionType.MEDIASTINUM),
        ("Wirbelkörper L3", LesionType.BONE),
        ("soft tissue", LesionType.SOFT_TISSUE),
        ("iliac node", LesionType.PELVIS),
        ("liver metastasis of lung cancer", None),
        ("renal pelvis", None),
        ("Lesion 1", None),
        ("sliver of something", None),
        ("", None),
    ],
)
def test_words_that_state_a_type(text: str, expected: LesionType | None) -> None:
    assert words.of_text(text) is expected


@pytest.mark.parametrize(
    ("value", "meaning", "label", "expected"),
    [
        ("10200004", "Liver", "lung", words.Stated(LesionType.LIVER, "finding site")),
        ("T-62000", "Leber", "", words.Stated(LesionType.LIVER, "finding site")),
        ("44029006", "Left lung", "", words.Stated(LesionType.LUNG, "finding site")),
        ("1", "Somewhere", "Milz", words.Stated(LesionType.ABDOMEN, "label")),
        ("1", "Somewhere", "Lesion", None),
    ],
)
def test_the_site_comes_before_the_label(
    value: str, meaning: str, label: str, expected: words.Stated | None
) -> None:
    site, comment, group = Dataset(), Dataset(), Dataset()
    site.ConceptNameCodeSequence = [codes.item(codes.FINDING_SITE)]
    site.ConceptCodeSequence = [codes.item(codes.Code(value, "SCT", meaning))]
    comment.ConceptNameCodeSequence = [codes.item(codes.COMMENT)]
    comment.TextValue = label
    group.ContentSequence = [site, comment]
    assert words.of_group(group) == expected
