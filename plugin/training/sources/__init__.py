"""Marked series of any origin, as the scans that training cuts its samples from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin.training.sources import box_lists, deeplesion, lidc, luna16, marked

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin.training.config import Source
    from plugin.training.samples import Scan

#: What a source may be, and what reads it.
KINDS: dict[str, Callable[[Source], list[Scan]]] = {
    "deeplesion": deeplesion.scans,
    "series": marked.scans,
    "lidc": lidc.scans,
    "luna16": luna16.scans,
    "coco": box_lists.coco,
    "tensorbox": box_lists.tensorbox,
    "voc": box_lists.voc,
}


def scans(source: Source) -> list[Scan]:
    """The scans of a source that training may see, in an order that never changes.

    Raises InvalidDataset where the source is not what its kind says.
    """
    return [scan for scan in KINDS[source.kind](source) if scan.learned or source.everything]
