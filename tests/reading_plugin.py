"""At the seam: reads a series as the shipped plugin does, and reports what it read, quickly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plugin import Analysis, planes, volume
from tests.fake_plugin import FakePlugin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from plugin import Earlier, Series


SOP_CLASSES = planes.CT_STORAGE


@dataclass(frozen=True)
class ReadingPlugin(FakePlugin):
    """Refuses what the volume refuses, and says what the volume says."""

    version: str = "reading-1"
    sop_classes: frozenset[str] = SOP_CLASSES

    def accepts(self, series: Series) -> bool:
        return volume.accepts(series.instances)

    def analyse(self, series: Series, earlier: Earlier | None, now: datetime) -> Analysis:
        ct = volume.read(series.instances)
        made = self.report(ct.headers, earlier, now)
        return Analysis((), made, ct.remarks)


def build(settings: Mapping[str, Any]) -> ReadingPlugin:
    return ReadingPlugin(Path(settings["gate"]))
