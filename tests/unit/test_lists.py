"""Lists of boxes and spheres: written, read back equal, and broken ones named."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin.bookmark import Bookmark, LesionType
from plugin.datasets.box_lists import read_coco, read_tensorbox, write_coco, write_tensorbox
from plugin.datasets.boxes import BoxedImage, LabelledBox, of_bookmarks
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.luna16 import Sphere, read_luna16, write_luna16
from plugin.datasets.voc import read_voc, write_voc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The folder of a test may be used again for every example.
AGAIN = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
#: Quarters of pixels, which are exact in every format.
_PLACES = st.integers(0, 1000).map(lambda quarters: quarters / 4)
_BOXES = st.builds(
    lambda x, y, w, h, label, score: LabelledBox(label, (x, y, x + w, y + h), score),
    _PLACES, _PLACES, _PLACES, _PLACES, st.sampled_from(["lung", "soft tissue", "A"]),
    st.none() | st.floats(0, 1),
)  # fmt: skip
IMAGES = st.lists(
    st.builds(
        BoxedImage,
        st.integers(1, 99).map(lambda n: f"1.2.840.{n}"),
        st.just((512, 512)),
        st.lists(_BOXES, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda image: image.name,
)
#: One image of 64 x 48 pixels with a box over columns 10 to 19 and rows 20 to 25.
ONE = [BoxedImage("1.2", (64, 48), (LabelledBox("lung", (10.0, 20.0, 19.0, 25.0), 0.75),))]


@AGAIN
@given(IMAGES)
def test_coco_comes_back_equal(tmp_path: Path, images: list[BoxedImage]) -> None:
    write_coco(tmp_path / "list.json", images)
    assert read_coco(tmp_path / "list.json") == images


@AGAIN
@given(IMAGES)
def test_tensorbox_comes_back_equal_but_for_sizes(tmp_path: Path, images: list[BoxedImage]) -> None:
    write_tensorbox(tmp_path / "list.json", images)
    without = [BoxedImage(image.name, None, image.boxes) for image in images]
    assert read_tensorbox(tmp_path / "list.json") == without


@AGAIN
@given(IMAGES)
def test_voc_comes_back_equal_but_for_scores(
    tmp_path_factory: pytest.TempPathFactory, images: list[BoxedImage]
) -> None:
    folder = tmp_path_factory.mktemp("voc")
    write_voc(folder, images)
    without = [
        BoxedImage(i.name, i.size, tuple(LabelledBox(b.label, b.box) for b in i.boxes))
        for i in images
    ]
    assert read_voc(folder) == sorted(without, key=lambda image: f"{image.name}.xml")


def test_edges_are_half_a_pixel_outside_the_outermost_pixels(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    write_coco(path, ONE)
    (annotation,) = json.loads(path.read_text())["annotations"]
    assert annotation["bbox"] == [10, 20, 10, 6]
    assert (annotation["area"], annotation["image_id"], annotation["category_id"]) == (60, 1, 1)
    write_tensorbox(path, ONE)
    (rect,) = json.loads(path.read_text())[0]["rects"]
    assert rect == {"x1": 10, "y1": 20, "x2": 20, "y2": 26, "label": "lung", "score": 0.75}


def test_coco_wants_sizes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown size"):
        write_coco(tmp_path / "list.json", [BoxedImage("1.2", None, ())])


def test_voc_is_what_its_users_expect(tmp_path: Path) -> None:
    write_voc(tmp_path / "new", ONE)
    text = (tmp_path / "new" / "1.2.xml").read_text()
    assert "<width>64</width>" in text
    assert "<xmin>10</xmin>" in text
    assert "<name>lung</name>" in text


def test_bookmarks_become_boxes_by_key_slice() -> None:
    marks = [_bookmark("1.2", 0.9), _bookmark("1.3", 0.8), _bookmark("1.2", 0.7)]
    first, second = of_bookmarks(marks, (64, 48))
    assert (first.name, first.size, len(first.boxes)) == ("1.2", (64, 48), 2)
    assert second.boxes == (LabelledBox("liver", (1.0, 2.0, 3.0, 4.0), 0.8),)


def _bookmark(uid: str, score: float) -> Bookmark:
    axis = ((1.0, 2.0), (3.0, 4.0))
    return Bookmark(
        "1", uid, None, 0, axis, axis, 2.0, 1.0, (1.0, 2.0, 3.0, 4.0), (0, 0),
        LesionType.LIVER, score, "2.25.1", 40.0, 10.0,
    )  # fmt: skip


def _coco(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A COCO list of one image and one box, changed."""
    record: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "1.2", "width": 64, "height": 48}],
        "categories": [{"id": 3, "name": "lung"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [10, 20, 10, 6]}],
    }
    change(record)
    return record


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.pop("categories"), "categories is missing"),
        (lambda r: r.update(images={}), "images must be a list"),
        (lambda r: r["images"].append(r["images"][0]), "two images have the same id"),
        (lambda r: r["images"][0].pop("width"), r"images\[0\]: width is missing"),
        (lambda r: r["annotations"].append(5), r"annotations\[1\]: image_id is missing"),
        (lambda r: r["annotations"][0].update(image_id=8), "there is no image 8"),
        (lambda r: r["annotations"][0].update(image_id=[]), r"image_id \[\] is neither"),
        (lambda r: r["images"][0].update(id={}), r"images\[0\]: id {} is neither"),
        (lambda r: r["annotations"][0].update(category_id=8), "there is no category 8"),
        (lambda r: r["annotations"][0].update(bbox=[1, 2, 3]), "must hold 4 numbers, not 3"),
        (lambda r: r["annotations"][0].update(bbox=[1, 2, None, 4]), "bbox None is not a number"),
        (lambda r: r["annotations"][0].update(bbox=[1, 2, float("nan"), 4]), "bbox nan is not"),
        (lambda r: r["annotations"][0].update(bbox=[60, 2, 5, 4]), "lies outside its"),
        (lambda r: r["annotations"][0].update(bbox=[10, 2, -5, 4]), "ends before it begins"),
        (lambda r: r["annotations"][0].update(score="high"), "score 'high' is not a number"),
    ],
)
def test_a_wrong_coco_list_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(_coco(lambda _: None)))
    assert len(read_coco(path)) == 1
    path.write_text(json.dumps(_coco(change)))
    with pytest.raises(InvalidDataset, match=said) as caught:
        read_coco(path)
    assert str(path) in str(caught.value)


@AGAIN
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["images", "annotations", "categories", "id", "rects", "image_path"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused_by_name(tmp_path: Path, record: Any) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(record))
    for read in (read_coco, read_tensorbox):
        with suppress(InvalidDataset):
            assert isinstance(read(path), list)


@pytest.mark.parametrize(
    ("rect", "said"),
    [
        ({"x1": 1, "y1": 1, "x2": 5}, r"image 0, rect 0: y2 is missing"),
        ({"x1": "a", "y1": 1, "x2": 5, "y2": 5}, "x1 'a' is not a number"),
        ({"x1": -3, "y1": 1, "x2": 5, "y2": 5}, "lies outside the image"),
        ({"x1": 5, "y1": 1, "x2": 3, "y2": 5}, "ends before it begins"),
    ],
)
def test_a_wrong_tensorbox_list_is_named(tmp_path: Path, rect: dict[str, Any], said: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"image_path": "a.png", "rects": [rect]}]))
    with pytest.raises(InvalidDataset, match=said):
        read_tensorbox(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</annotation>", "", "no element found|unclosed token"),
        ("annotation", "annotations", "is no annotation but annotations"),
        ("<xmin>10</xmin>", "", r"object 0: xmin None is not a number"),
        ("<xmin>10<", "<xmin>left<", "xmin 'left' is not a number"),
        ("<name>lung</name>", "", "object 0: name is missing"),
        ("<xmax>19<", "<xmax>64<", r"lies outside its \(64, 48\) pixels"),
        ("<ymax>25<", "<ymax>19<", "ends before it begins"),
        ("<width>64</width>", "", "width None is not a number"),
    ],
)
def test_a_wrong_voc_file_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    write_voc(tmp_path, ONE)
    path = tmp_path / "1.2.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InvalidDataset, match=said) as caught:
        read_voc(tmp_path)
    assert "1.2.xml" in str(caught.value)


def test_a_folder_without_voc_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="there is no XML file"):
        read_voc(tmp_path)


_NUMBERS = st.floats(-1e6, 1e6)
_SPHERES = st.builds(
    Sphere,
    st.integers(1, 99).map(lambda n: f"1.3.6.{n}"),
    st.tuples(_NUMBERS, _NUMBERS, _NUMBERS),
    st.floats(0, 1e3),
)


@AGAIN
@given(st.lists(_SPHERES, max_size=4))
def test_spheres_come_back_equal(tmp_path: Path, spheres: list[Sphere]) -> None:
    write_luna16(tmp_path / "annotations.csv", spheres)
    assert read_luna16(tmp_path / "annotations.csv") == spheres


def test_luna16s_own_digits_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "annotations.csv"
    text = (
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n"
        "1.3.6.1,-128.6994211,-175.3192718,-298.3875064,5.65147063\n"
    )
    path.write_text(text)
    write_luna16(path, read_luna16(path))
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1.3,1,2,3", "row 1: has 4 of 5 columns"),
        ("1.3,1,2,3,4,5", "row 1: has 6 of 5 columns"),
        ("1.3,1,NaN,3,4", "row 1: coordY 'NaN' is not a number"),
        ("1,2,3,4,1.3.6", "diameter_mm '1.3.6' is not a number"),
        (",1,2,3,4", "seriesuid is missing"),
        ("1.3,1,2,3,-4", "diameter_mm '-4' is negative"),
        ('"1.3,1,2,3,4', "unexpected end of data"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "annotations.csv"
    path.write_text(f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{row}\n")
    with pytest.raises(InvalidDataset, match=said):
        read_luna16(path)


def test_a_wrong_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "annotations.csv"
    path.write_text("seriesuid,coordX,coordY,coordZ,probability\n")
    with pytest.raises(InvalidDataset, match="the header must be seriesuid, coordX"):
        read_luna16(path)


def test_real_boxes_lie_where_the_derived_list_has_them(data: Path) -> None:
    images = {image.name: image for image in read_voc(data / "lung_dx")}
    described = json.loads((data / "lesions.json").read_text())
    (entry,) = (each for each in described if "Lung_Dx" in each["series_dir"])
    assert len(images) == 20
    for lesion in entry["lesions"]:
        (box,) = images[lesion["key_sop_uid"]].boxes
        assert (list(box.box), box.label) == (lesion["key_bbox_px"], "A")
