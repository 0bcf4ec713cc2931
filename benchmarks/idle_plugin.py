"""At the plugin's seam: takes a fixed time, sees nothing, and reports that in a Basic Text SR."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.uid import CTImageStorage

from plugin import Analysis, Facts, Kind, Product
from tests.fake_plugin import report_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from plugin import Earlier, Series

SOP_CLASSES = frozenset({CTImageStorage})


@dataclass(frozen=True)
class IdlePlugin:
    """Waits as a graphics card would make it wait: without using a core."""

    #: Of one analysis, seconds.
    work_s: float
    version: str = "idle-1"
    sop_classes: frozenset[str] = SOP_CLASSES

    def facts(self) -> Facts:
        """No model, no device."""
        return Facts(self.version, "", "cpu", "none")

    def accepts(self, series: Series) -> bool:
        """Every series."""
        return bool(series.instances)

    def warm_up(self) -> None:
        """Nothing."""

    def analyse(self, series: Series, earlier: Earlier | None, now: datetime) -> Analysis:
        """Wait, and report nothing in particular."""
        del earlier
        time.sleep(self.work_s)
        header = dcmread(series.instances[0], stop_before_pixels=True)
        report = report_on([header], None, self.version, now)
        return Analysis((), (Product(Kind.REPORT, report),))


def build(settings: Mapping[str, Any]) -> IdlePlugin:
    """The key `work_s` is the time of one analysis, seconds."""
    return IdlePlugin(float(settings.get("work_s", 0.0)))
