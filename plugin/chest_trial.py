"""How the plugin for CT is tried where it is installed: a chest of nobody with known lesions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from plugin import Judgement, Series, codecs, report
from plugin.datasets import phantom
from plugin.datasets.ct_image import Identity, ct_images
from plugin.datasets.phantom import Lesion, Spec
from plugin.errors import InvalidReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pydicom import Dataset

    from plugin import Bookmark

#: Small, so that it is sent and analysed in seconds.
SPEC: Final = Spec(
    lesions=(
        Lesion((-82.0, 12.0, 4.0), (14.0, 14.0, 14.0)),
        Lesion((80.0, -20.0, -4.0), (24.0, 16.0, 16.0)),
    ),
    shape=(20, 224, 224),
    spacing=(2.5, 1.5, 1.5),
    patient=("TEST^LESIONMARK", "LESIONMARK-TEST"),
)
#: How far a diameter in the report may be from the true one: less than two pixels, mm.
TOLERANCE_MM: Final = 2.5
#: Study and Series Description.
DESCRIPTION: Final = "TEST of lesionmark, no patient"


@dataclass(frozen=True)
class ChestTrial:
    """A phantom, and the truth about it."""

    #: Patient ID of everything that a trial makes.
    patient_id: str = SPEC.patient[1]

    def undecodable(self) -> Mapping[str, str]:
        """Transfer Syntax UIDs in which a CT cannot be read here, each with the reason."""
        return codecs.undecodable()

    def decodable(self) -> frozenset[str]:
        """Transfer Syntax UIDs in which a CT can be read by an installation that is whole."""
        return frozenset(map(str, codecs.samples()))

    def write(self, folder: Path, now: datetime) -> Series:
        """Write the phantom into a folder, under UIDs that no other moment gives."""
        folder.mkdir(parents=True, exist_ok=True)
        seed, today = f"trial {now.isoformat()}", f"{now:%Y%m%d}"
        name = Identity(*SPEC.patient, seed=seed, description=DESCRIPTION, date=today)
        paths, uid = [], ""
        for dataset in ct_images(phantom.attenuation(SPEC), phantom.affine(SPEC), name):
            dataset.QualityControlImage = "YES"  # PS3.3 C.7.6.1: "quality control or phantom"
            uid = str(dataset.SeriesInstanceUID)
            paths.append(folder / f"{dataset.InstanceNumber:04d}.dcm")
            dataset.save_as(paths[-1], enforce_file_format=True)
        return Series(uid, tuple(paths))

    def judge(self, document: Dataset) -> Judgement:
        """Compare the diameters in a report with the truth."""
        try:
            bookmarks = report.read(document).bookmarks
        except InvalidReport as error:
            return Judgement("a report that cannot be read", (str(error),))
        seen, faults = [], []
        for lesion in SPEC.lesions:
            found = _nearest(lesion, bookmarks)
            seen.append(f"{_size(lesion)}: {_measured(found) if found else 'not found'}")
            faults += _faults(lesion, found)
        return Judgement("; ".join(seen), tuple(faults))


def _nearest(lesion: Lesion, bookmarks: Sequence[Bookmark]) -> Bookmark | None:
    """The bookmark nearest to the middle of a lesion, if it lies inside."""
    away = {_distance(lesion, bookmark): bookmark for bookmark in bookmarks}
    nearest = min(away, default=np.inf)
    return away[nearest] if nearest <= max(lesion.diameters) / 2 else None


def _distance(lesion: Lesion, bookmark: Bookmark) -> float:
    """From a lesion's centre to the middle of the long axis, mm."""
    (column0, row0), (column1, row1) = bookmark.long_axis
    index = (bookmark.slice_index, (row0 + row1) / 2, (column0 + column1) / 2, 1.0)
    place = (phantom.affine(SPEC) @ np.array(index))[:3]
    return float(np.linalg.norm(place - np.array(lesion.centre)))


def _faults(lesion: Lesion, found: Bookmark | None) -> list[str]:
    if found is None:
        return [f"the lesion of {_size(lesion)} is not in the report"]
    measured = (found.long_axis_mm, found.short_axis_mm)
    off = max(abs(m - t) for m, t in zip(measured, _axes(lesion), strict=True))
    if off <= TOLERANCE_MM:
        return []
    return [f"the lesion of {_size(lesion)} is reported as {_measured(found)}"]


def _axes(lesion: Lesion) -> tuple[float, float]:
    """True long and short axis in an axial slice, mm."""
    x, y, _ = lesion.diameters
    return max(x, y), min(x, y)


def _size(lesion: Lesion) -> str:
    return "{:g} x {:g} mm".format(*_axes(lesion))


def _measured(bookmark: Bookmark) -> str:
    return f"{bookmark.long_axis_mm:.1f} x {bookmark.short_axis_mm:.1f} mm"
