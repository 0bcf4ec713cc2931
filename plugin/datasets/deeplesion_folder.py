"""Where a folder keeps DeepLesion: the table and the images, as NIH gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from pathlib import Path

#: Folder of the slices: one folder a series, one 16-bit PNG a slice.
IMAGES = "Images_png"


def find_images(folder: Path) -> Path | None:
    """`Images_png` in a folder or in its `deeplesion`; None where there is none."""
    places = (folder / IMAGES, folder / "deeplesion" / IMAGES)
    return next((place for place in places if place.is_dir()), None)


def find_table(images: Path) -> Path:
    """The table that belongs to the images: DL_info.csv beside them, or DL_info*.csv below.

    Raises InvalidDataset where there is none, or several.
    """
    folder = images.parent
    named = folder / "DL_info.csv"
    found = [named] if named.is_file() else sorted(folder.rglob("DL_info*.csv"))
    if not found:
        raise InvalidDataset(f"{folder}: there is no DL_info.csv")
    if len(found) > 1:
        raise InvalidDataset(f"{folder}: which of {', '.join(path.name for path in found)}?")
    return found[0]
