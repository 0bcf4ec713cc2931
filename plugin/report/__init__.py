"""Bookmarks as DICOM objects, pictures and text, and back."""

from __future__ import annotations

from plugin.report.authors import Author, AuthorKind
from plugin.report.findings import Findings, Region
from plugin.report.key_image import draw
from plugin.report.picture import picture
from plugin.report.products import SOP_CLASSES, products
from plugin.report.read import read
from plugin.report.reading import Reading
from plugin.report.text import summary, table

__all__ = [
    "SOP_CLASSES",
    "Author",
    "AuthorKind",
    "Findings",
    "Reading",
    "Region",
    "draw",
    "picture",
    "products",
    "read",
    "summary",
    "table",
]
