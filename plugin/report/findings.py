"""What there is to say about one series; every object of a report is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume


@dataclass(frozen=True)
class Region:
    """The voxels of one lesion."""

    #: Its voxels, [slice, row, column], cropped to where they are.
    mask: NDArray[np.bool_]
    #: Index (slice, row, column) in the volume of the first voxel of `mask`.
    offset: tuple[int, int, int]


@dataclass(frozen=True)
class Findings:
    """What there is to say about one series."""

    #: The series.
    volume: Volume
    #: Its lesions, best score first.
    bookmarks: tuple[Bookmark, ...]
    #: Their voxels, in the same order.
    regions: tuple[Region, ...]
    #: Name and version of the detector, separated by a space.
    model: str
    #: The report that this one replaces, in the forms of `document.SOP_CLASSES`; or none.
    earlier_reports: tuple[Path, ...]
    #: Becomes the content date and time.
    now: datetime
