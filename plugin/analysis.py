"""The analysis of a CT series: read, detect, measure, track, encode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugin import Analysis, Earlier, Facts, Kind, Series, planes, report, volume
from plugin.bookmark import Bookmark
from plugin.detector import Detection, Detector, load
from plugin.errors import WrongSetting
from plugin.measure import measure
from plugin.tracking import carry_over, new_tracking_uid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from plugin import Product
    from plugin.chest_trial import ChestTrial
    from plugin.volume import Volume

#: The storage classes of CT images.
SOP_CLASSES = planes.CT_STORAGE
#: SOP Classes of the objects of each kind.
PRODUCED = report.SOP_CLASSES
#: Lesions with a lower score are not reported, unless the settings say otherwise.
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class LesionAnalysis:
    """The plugin for CT: every lesion of a series becomes a bookmark in one report."""

    #: Finds the lesions.
    detector: Detector
    #: Lesions with a lower score are not reported, 0 to 1.
    threshold: float = DEFAULT_THRESHOLD
    #: What to make of the lesions besides the report.
    kinds: frozenset[Kind] = frozenset()

    @property
    def version(self) -> str:
        """Name and version of the detector, and what else decides what is reported."""
        return f"{self.detector.version};threshold={self.threshold:g}"

    @property
    def sop_classes(self) -> frozenset[str]:
        """The storage classes of CT images."""
        return SOP_CLASSES

    def facts(self) -> Facts:
        """What the detector says of itself."""
        return self.detector.facts()

    def accepts(self, series: Series) -> bool:
        """Whether the series holds CT slices; reads headers only."""
        return volume.accepts(series.instances)

    def warm_up(self) -> None:
        """Prepare the detector for the first series."""
        self.detector.warm_up()

    def analyse(self, series: Series, earlier: Earlier | None, now: datetime) -> Analysis:
        """Find, measure and report the lesions of a series.

        Raises UnsuitableSeries when the instances are not one regular stack of CT slices.
        """
        ct = volume.read(series.instances)
        detections = self._sorted(self.detector.detect(ct, self.threshold))
        bookmarks = tuple(self._bookmark(ct, found, i) for i, found in enumerate(detections))
        bookmarks = carry_over(bookmarks, earlier.bookmarks if earlier else (), ct)
        findings = report.Findings(
            volume=ct,
            bookmarks=bookmarks,
            regions=tuple(report.Region(found.mask, found.offset) for found in detections),
            model=self.version,
            earlier_reports=earlier.reports if earlier else (),
            now=now,
        )
        objects, remarks = report.products(findings, self.kinds)
        pictures = tuple(
            report.picture(ct, bookmark, number) for number, bookmark in enumerate(bookmarks, 1)
        )
        return Analysis(bookmarks, objects, ct.remarks + remarks, pictures)

    def _sorted(self, detections: list[Detection]) -> list[Detection]:
        """Best score first, equal scores by their place."""
        return sorted(detections, key=lambda found: (-found.score, found.offset))

    def _bookmark(self, ct: Volume, found: Detection, ordinal: int) -> Bookmark:
        measured = measure(found.mask, found.offset, ct)
        key_slice = ct.slices[measured.slice_index]
        return Bookmark(
            series_instance_uid=ct.series_instance_uid,
            sop_instance_uid=key_slice.sop_instance_uid,
            frame_number=key_slice.frame_number,
            slice_index=measured.slice_index,
            long_axis=measured.diameters.long_axis,
            short_axis=measured.diameters.short_axis,
            long_axis_mm=measured.diameters.long_axis_mm,
            short_axis_mm=measured.diameters.short_axis_mm,
            box=measured.box,
            slice_range=measured.slice_range,
            lesion_type=found.lesion_type,
            score=found.score,
            tracking_uid=new_tracking_uid(ct, self.version, ordinal),
            mean_hu=measured.mean_hu,
            volume_mm3=measured.volume_mm3,
        )


def trial() -> ChestTrial:
    """How to try it."""
    from plugin.chest_trial import ChestTrial  # its phantom is for trials only

    return ChestTrial()


def specimen() -> tuple[Product, ...]:
    """One object of each kind, on images of nobody, without a network."""
    from plugin.specimens import products  # for descriptions only

    return products(LesionAnalysis)


def build(settings: Mapping[str, Any]) -> LesionAnalysis:
    """The plugin with the settings `threshold` (0 to 1), `device` and `objects`.

    Raises WrongSetting.
    """
    unknown = sorted(set(settings) - {"device", "module", "objects", "threshold"})
    if unknown:
        raise WrongSetting(f"{unknown[0]}: there is no such key")
    threshold = settings.get("threshold", DEFAULT_THRESHOLD)
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise WrongSetting(f"threshold: must be a number from 0 to 1 (it is {threshold!r})")
    detector = load(settings.get("device", "auto"))
    return LesionAnalysis(detector, float(threshold), frozenset(settings.get("objects", ())))
