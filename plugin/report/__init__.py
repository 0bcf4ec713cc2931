"""Bookmarks as DICOM objects, pictures and text, and back."""

from __future__ import annotations

from plugin.report.check import check
from plugin.report.document import encode
from plugin.report.key_image import draw
from plugin.report.products import Findings, products
from plugin.report.read import read
from plugin.report.segmentation import Region
from plugin.report.text import summary, table

__all__ = [
    "Findings",
    "Region",
    "check",
    "draw",
    "encode",
    "products",
    "read",
    "summary",
    "table",
]
