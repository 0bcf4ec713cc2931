"""PASCAL-VOC XML, one file an image; here a file is named for the SOP Instance UID of its image.

Coordinates are outermost pixels from 0, as in Lung-PET-CT-Dx; the challenge itself counted from 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from plugin.datasets.boxes import BoxedImage, LabelledBox, checked, number
from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(folder: Path) -> list[BoxedImage]:
    """The images of a folder, by name; each is called like its file.

    Raises InvalidDataset naming the file, the object and the element.
    """
    paths = sorted(folder.glob("*.xml"))
    if not paths:
        raise InvalidDataset(f"{folder}: there is no XML file")
    return [_read(path) for path in paths]


def write_voc(folder: Path, images: Iterable[BoxedImage]) -> None:
    """Write one file an image; scores are not kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        tree = ElementTree.ElementTree(_annotation(image))
        ElementTree.indent(tree)
        tree.write(folder / f"{image.name}.xml", encoding="utf-8", xml_declaration=True)


def _read(path: Path) -> BoxedImage:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InvalidDataset(f"{path}: {error}") from error
    if root.tag != "annotation":
        raise InvalidDataset(f"{path}: is no annotation but {root.tag}")
    boxes = tuple(
        _box(found, f"{path}, object {i}") for i, found in enumerate(root.findall("object"))
    )
    return checked(BoxedImage(path.stem, _size(root, str(path)), boxes), str(path))


def _size(root: ElementTree.Element, where: str) -> tuple[int, int] | None:
    if root.find("size") is None:
        return None
    columns, rows = (
        number(root.findtext(f"size/{side}"), side, where) for side in ("width", "height")
    )
    return int(columns), int(rows)


def _box(found: ElementTree.Element, where: str) -> LabelledBox:
    column0, row0, column1, row1 = (
        number(found.findtext(f"bndbox/{side}"), side, where) for side in _SIDES
    )
    label = (found.findtext("name") or "").strip()
    if not label:
        raise InvalidDataset(f"{where}: name is missing")
    return LabelledBox(label, (column0, row0, column1, row1))


def _annotation(image: BoxedImage) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _add(root, "filename", image.name)
    if image.size is not None:
        size = ElementTree.SubElement(root, "size")
        for side, pixels in zip(("width", "height"), image.size, strict=True):
            _add(size, side, str(pixels))
        _add(size, "depth", "1")
    for each in image.boxes:
        found = ElementTree.SubElement(root, "object")
        _add(found, "name", each.label)
        box = ElementTree.SubElement(found, "bndbox")
        for side, value in zip(_SIDES, each.box, strict=True):
            _add(box, side, f"{int(value)}" if value == int(value) else repr(float(value)))
    return root


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text
