"""When a series is whole.

The sender's own count decides where it can be asked (C-FIND); else the series is whole when
its associations have ended, nothing has come for a quiet period and no slice is missing
between two others. A cap bounds the wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydicom import Dataset

    from dicom_node.config import Completion as Settings
    from dicom_node.revisions import Revisions
    from dicom_node.spool import Held, Spool

#: A step this much longer than the usual one means that a slice is missing between.
_GAP_FACTOR = 1.5


@dataclass(frozen=True)
class Verdict:
    """Whether a series is whole, and why."""

    #: True when it can be analysed now.
    whole: bool
    #: For the log, without patient data.
    reason: str
    #: Seconds after which to look again, when it is not whole.
    look_again_s: float = 0.0


class Completion:
    """Judges a series by what lies in the spool; remembers nothing itself."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        revisions: Revisions,
        *,
        count: Callable[[str, str], int | None] | None,
        is_arriving: Callable[[str], bool],
        started_at: float,
    ) -> None:
        """Take the parts that are asked.

        `count` asks the sender; `is_arriving` says whether an association that brought
        instances of the series is still open. Senders get one quiet period after
        `started_at` (seconds since the epoch) to go on with what a restart cut off.
        """
        self._settings = settings
        self._spool = spool
        self._revisions = revisions
        self._count = count
        self._is_arriving = is_arriving
        self._started_at = started_at

    @property
    def first_look_s(self) -> float:
        """Seconds after the end of an association at which to judge first."""
        return 0.0 if self._count else self._settings.quiet_period_s

    def judge(self, series_uid: str, now: float) -> Verdict:
        """Judge a series at `now`, seconds since the epoch."""
        held = self._spool.held(series_uid)
        waited = now - min((h.stored_at for h in self._new(series_uid, held)), default=now)
        remaining = self._settings.cap_s - waited
        if not held:
            return Verdict(whole=True, reason="nothing is held")
        if remaining <= 0:
            return Verdict(whole=True, reason=f"the cap of {self._settings.cap_s:g} s is over")
        verdict = self._judge_arrival(series_uid, held, now)
        wait = min(verdict.look_again_s, remaining)
        return Verdict(verdict.whole, verdict.reason, wait)

    def _new(self, series_uid: str, held: list[Held]) -> list[Held]:
        known = {uid for r in self._revisions.of(series_uid) for uid in r.instances}
        return [h for h in held if h.sop_instance_uid not in known]

    def _judge_arrival(self, series_uid: str, held: list[Held], now: float) -> Verdict:
        quiet_period = self._settings.quiet_period_s
        if self._is_arriving(series_uid):
            # The end of the association brings the next look; this is for a lost end.
            return Verdict(False, "an association is open", self._settings.cap_s)
        expected = self._ask(held, series_uid)
        if expected is not None:
            reason = f"{len(held)} of {expected} instances"
            return Verdict(len(held) >= expected, reason, quiet_period)
        quiet = now - max(self._started_at, *(h.stored_at for h in held))
        if quiet < quiet_period:
            return Verdict(False, "the quiet period is running", quiet_period - quiet)
        gap = find_gap([h.path for h in held])
        if gap is not None:
            return Verdict(False, f"a gap of {gap:.1f} mm between two slices", quiet_period)
        return Verdict(True, f"quiet for {quiet:.1f} s")

    def _ask(self, held: list[Held], series_uid: str) -> int | None:
        if self._count is None:
            return None
        header = dcmread(held[0].path, specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
        return self._count(str(header.StudyInstanceUID), series_uid)


def find_gap(paths: list[Path]) -> float | None:
    """The longest step in mm along the slice normal if a slice seems to be missing there.

    Reads Image Position and Image Orientation (PS3.3 C.7.6.2). Localizers and instances
    without a position do not count; multi-frame instances are whole by themselves.
    """
    positions = sorted({p for p in map(_position, paths) if p is not None})
    steps = [after - before for before, after in pairwise(positions)]
    if len(steps) < 2:
        return None
    longest = max(steps)
    return longest if longest > _GAP_FACTOR * median(steps) else None


def _position(path: Path) -> float | None:
    """Where a slice lies along its normal, mm, rounded to 0.01."""
    tags = ["ImageType", "ImagePositionPatient", "ImageOrientationPatient"]
    try:
        header = dcmread(path, specific_tags=tags, stop_before_pixels=True)
    except InvalidDicomError:
        return None
    if "LOCALIZER" in (header.get("ImageType") or ()):
        return None
    return _along_normal(header)


def _along_normal(header: Dataset) -> float | None:
    position = header.get("ImagePositionPatient")
    axes = header.get("ImageOrientationPatient")
    if not position or not axes or len(position) != 3 or len(axes) != 6:
        return None
    (a, b, c), (d, e, f) = axes[:3], axes[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return round(sum(float(n) * float(p) for n, p in zip(normal, position, strict=True)), 2)
