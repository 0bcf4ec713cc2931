"""Whether the analysis makes progress: for the watchdog, and for whoever looks."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from plugin import Analysis, Earlier, Facts, Plugin, Series


class Timed:
    """A plugin of which one can tell how long it has been at work."""

    def __init__(self, plugin: Plugin, limit_s: float) -> None:
        """After `limit_s` seconds an analysis counts as stuck."""
        self._plugin = plugin
        self._limit_s = limit_s
        self._began: dict[str, float] = {}

    @property
    def version(self) -> str:
        """That of the plugin."""
        return self._plugin.version

    @property
    def sop_classes(self) -> frozenset[str]:
        """Those of the plugin."""
        return self._plugin.sop_classes

    def facts(self) -> Facts:
        """Those of the plugin."""
        return self._plugin.facts()

    def accepts(self, series: Series) -> bool:
        """What the plugin says."""
        return self._plugin.accepts(series)

    def warm_up(self) -> None:
        """What the plugin does."""
        self._plugin.warm_up()

    def analyse(self, series: Series, earlier: Earlier | None, now: datetime) -> Analysis:
        """What the plugin gives, while the clock runs."""
        uid = series.series_instance_uid
        self._began[uid] = monotonic()
        try:
            return self._plugin.analyse(series, earlier, now)
        finally:
            del self._began[uid]

    def stuck(self) -> str | None:
        """The series whose analysis has taken too long, if there is one."""
        now = monotonic()
        for uid, began in list(self._began.items()):
            if now - began > self._limit_s:
                return f"the analysis of series {uid} has taken {now - began:.0f} s"
        return None
