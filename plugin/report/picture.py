"""The key slice of a bookmark for people: a picture, and the same in words."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from plugin import Picture
from plugin.report import images, text
from plugin.report.key_image import draw

if TYPE_CHECKING:
    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

#: zlib's quickest; a slice of CT is mostly noise, which more effort makes little smaller.
_COMPRESSION: Final = 1


def picture(volume: Volume, bookmark: Bookmark, number: int) -> Picture:
    """The key slice with both diameters drawn; `number` is the lesion's in the report."""
    png = BytesIO()
    draw(volume, bookmark, number=number).save(png, "PNG", compress_level=_COMPRESSION)
    return Picture(png.getvalue(), _words(volume, bookmark, number))


def _words(volume: Volume, bookmark: Bookmark, number: int) -> str:
    return (
        f"Image {images.image_number(volume, bookmark)}: {text.name(number).lower()}, "
        f"{bookmark.lesion_type.value}, {text.size(bookmark)} mm; "
        "its long axis is drawn in yellow, its short axis in blue"
    )
