"""Bookmarks as DICOM objects, pictures and text, and back."""

from __future__ import annotations

from plugin.report.findings import Findings, Region
from plugin.report.key_image import draw
from plugin.report.products import products
from plugin.report.read import Reading, read
from plugin.report.text import summary, table

__all__ = ["Findings", "Reading", "Region", "draw", "products", "read", "summary", "table"]
