"""JSON lists of images with boxes: COCO, and TensorBox's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plugin.datasets.boxes import (
    BoxedImage,
    LabelledBox,
    checked,
    entries,
    field,
    from_edges,
    identifier,
    number,
    to_edges,
)
from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Label of boxes in lists that give none.
UNLABELLED = "lesion"


def read_coco(path: Path) -> list[BoxedImage]:
    """A COCO list: `images`, `categories` and `annotations` with `bbox` as x, y, width, height.

    Raises InvalidDataset naming the entry and what is wrong with it.
    """
    record = _load(path)
    categories = {
        identifier(each, "id", where): str(field(each, "name", where))
        for each, where in _listed(record, "categories", path)
    }
    images = _listed(record, "images", path)
    boxes: dict[int | str, list[LabelledBox]] = {
        identifier(each, "id", where): [] for each, where in images
    }
    if len(boxes) != len(images):
        raise InvalidDataset(f"{path}: two images have the same id")
    for each, where in _listed(record, "annotations", path):
        image = identifier(each, "image_id", where)
        if image not in boxes:
            raise InvalidDataset(f"{where}: there is no image {image!r}")
        boxes[image].append(_coco_box(each, categories, where))
    return [_coco_image(each, boxes[each["id"]], where) for each, where in images]


def write_coco(path: Path, images: Sequence[BoxedImage]) -> None:
    """Write a COCO list. Raises ValueError for an image of unknown size: COCO gives all sizes."""
    if any(image.size is None for image in images):
        raise ValueError("an image of unknown size")
    labels = sorted({box.label for image in images for box in image.boxes})
    numbers = {label: i for i, label in enumerate(labels, start=1)}
    annotations = [
        _coco_annotation(i, numbers, box)
        for i, image in enumerate(images, start=1)
        for box in image.boxes
    ]
    record = {
        "images": [
            {"id": i, "file_name": image.name, "width": image.size[0], "height": image.size[1]}
            for i, image in enumerate(images, start=1)
            if image.size is not None
        ],
        "categories": [{"id": i, "name": label} for label, i in numbers.items()],
        "annotations": [{"id": i, **each} for i, each in enumerate(annotations, start=1)],
    }
    _save(path, record)


def read_tensorbox(path: Path) -> list[BoxedImage]:
    """TensorBox's list: `image_path`, and `rects` of `x1`, `y1`, `x2`, `y2`, and here `label`.

    Raises InvalidDataset naming the image and what is wrong with it.
    """
    images = enumerate(entries(_load(path), "the file", str(path)))
    return [_tensorbox_image(entry, f"{path}, image {i}") for i, entry in images]


def write_tensorbox(path: Path, images: Sequence[BoxedImage]) -> None:
    """Write TensorBox's list; sizes are not kept."""
    record = []
    for image in images:
        rects = []
        for each in image.boxes:
            rect = dict(zip(("x1", "y1", "x2", "y2"), to_edges(each.box), strict=True))
            score = {} if each.score is None else {"score": each.score}
            rects.append({**rect, "label": each.label, **score})
        record.append({"image_path": image.name, "rects": rects})
    _save(path, record)


def _coco_image(image: Any, boxes: list[LabelledBox], where: str) -> BoxedImage:
    width, height = (number(field(image, side, where), side, where) for side in ("width", "height"))
    name = str(field(image, "file_name", where))
    return checked(BoxedImage(name, (int(width), int(height)), tuple(boxes)), where)


def _coco_box(annotation: Any, categories: dict[int | str, str], where: str) -> LabelledBox:
    category = identifier(annotation, "category_id", where)
    if category not in categories:
        raise InvalidDataset(f"{where}: there is no category {category!r}")
    values = entries(field(annotation, "bbox", where), "bbox", where)
    if len(values) != 4:
        raise InvalidDataset(f"{where}: bbox must hold 4 numbers, not {len(values)}")
    x, y, width, height = (number(value, "bbox", where) for value in values)
    box = from_edges(x, y, x + width, y + height)
    return LabelledBox(categories[category], box, _score(annotation, where))


def _coco_annotation(image: int, numbers: dict[str, int], found: LabelledBox) -> dict[str, Any]:
    x0, y0, x1, y1 = to_edges(found.box)
    score = {} if found.score is None else {"score": found.score}
    return {
        "image_id": image,
        "category_id": numbers[found.label],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        **score,
    }


def _tensorbox_image(entry: Any, where: str) -> BoxedImage:
    rects = enumerate(entries(field(entry, "rects", where), "rects", where))
    boxes = tuple(_rect(rect, f"{where}, rect {i}") for i, rect in rects)
    return checked(BoxedImage(str(field(entry, "image_path", where)), None, boxes), where)


def _rect(rect: Any, where: str) -> LabelledBox:
    edges = [number(field(rect, side, where), side, where) for side in ("x1", "y1", "x2", "y2")]
    label = str(rect.get("label", UNLABELLED))
    return LabelledBox(label, from_edges(*edges), _score(rect, where))


def _score(entry: dict[str, Any], where: str) -> float | None:
    return number(entry["score"], "score", where) if "score" in entry else None


def _listed(record: Any, name: str, path: Path) -> list[tuple[Any, str]]:
    """The entries of a list of a COCO file, each with its name for messages."""
    listed = entries(field(record, name, str(path)), name, str(path))
    return [(each, f"{path}, {name}[{i}]") for i, each in enumerate(listed)]


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDataset(f"{path}: {error}") from error


def _save(path: Path, record: Any) -> None:
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
