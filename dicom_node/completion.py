"""When a series is whole.

The sender's own count decides where it can be asked (C-FIND) and is not less than what came;
else the series is whole when its associations have ended, nothing has come for a quiet period
and no slice is missing between two others. A cap bounds the wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_node.spool import Shelf

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

    from dicom_node.config_tables import Completion as Settings
    from dicom_node.live import Live
    from dicom_node.revisions import Revisions
    from dicom_node.spool import Held, Spool

#: Seconds without a new instance before the sender's count is asked for: a PACS that sends on
#: what it is just receiving itself counts as many as it has sent, at every moment.
_STEADY_S = 0.5
#: Seconds between two looks while an association is open; its end brings the next one sooner.
LOST_END_S = 10.0
#: A step this much longer than the usual one means that a slice is missing between.
_GAP_FACTOR = 1.5


#: Of Study and Series Instance UID gives how many instances there are, None for no answer.
Count = Callable[[str, str], "int | None"]


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
        live: Live[Settings],
        spool: Spool,
        revisions: Revisions,
        *,
        choose_count: Callable[[], Count | None],
        is_arriving: Callable[[str], bool],
        started_at: float,
    ) -> None:
        """Take the parts that are asked.

        `choose_count` gives what asks the sender, where it can be asked; `is_arriving` says
        whether an association that brought instances of the series is still open. Senders get
        one quiet period after `started_at` (seconds since the epoch) to go on with what a
        restart cut off.
        """
        self._live = live
        self._spool = spool
        self._revisions = revisions
        self._choose_count = choose_count
        self._is_arriving = is_arriving
        self._started_at = started_at

    def judge(self, series_uid: str, now: float) -> Verdict:
        """Judge a series at `now`, seconds since the epoch."""
        held = self._spool.held(series_uid)
        new = self._new(series_uid, held)
        waited = now - min((h.stored_at for h in new), default=now)
        remaining = self._settings.cap_s - waited
        if not held:
            return Verdict(whole=True, reason="nothing is held")
        if remaining <= 0:
            return Verdict(whole=True, reason=f"the cap of {self._settings.cap_s:g} s is over")
        verdict = self._judge_arrival(series_uid, held, now, is_new=bool(new))
        wait = min(verdict.look_again_s, remaining)
        return Verdict(verdict.whole, verdict.reason, wait)

    @property
    def _settings(self) -> Settings:
        return self._live.now

    @property
    def _count(self) -> Count | None:
        return self._choose_count()

    def _new(self, series_uid: str, held: list[Held]) -> list[Held]:
        known = {uid for r in self._revisions.of(series_uid) for uid in r.instances}
        return [h for h in held if h.sop_instance_uid not in known]

    def _judge_arrival(
        self, series_uid: str, held: list[Held], now: float, *, is_new: bool
    ) -> Verdict:
        quiet_period = self._settings.quiet_period_s
        if self._is_arriving(series_uid):
            # For the end of an association whose listener was killed: nobody tells of it.
            return Verdict(False, "an association is open", LOST_END_S)
        newest = max(h.stored_at for h in held)
        if self._count and now - newest < _STEADY_S:
            return Verdict(False, "the last instance came just now", _STEADY_S - (now - newest))
        # What was analysed short stays short, and no cap would end the wait for the rest.
        counted = self._judge_count(series_uid, held) if is_new else None
        if counted is not None:
            return counted
        quiet = now - max(self._started_at, newest)
        if quiet < quiet_period:
            return Verdict(False, "the quiet period is running", quiet_period - quiet)
        if not is_new:
            return Verdict(True, "nothing is new")
        gap = find_gap([h.path for h in held])
        if gap is not None:
            return Verdict(False, f"a gap of {gap:.1f} mm between two slices", quiet_period)
        return Verdict(True, f"quiet for {quiet:.1f} s")

    def _judge_count(self, series_uid: str, held: list[Held]) -> Verdict | None:
        came, expected = len(held) + self._count_aside(series_uid), self._ask(held, series_uid)
        if expected is None or expected < came:
            return None
        reason, wait = f"{came} of {expected} instances", self._settings.quiet_period_s
        return Verdict(came == expected, reason, wait)

    def _count_aside(self, series_uid: str) -> int:
        """The sender counts the instances that are not for the plugin, too."""
        return len(self._spool.held(series_uid, Shelf.ASIDE))

    def _ask(self, held: list[Held], series_uid: str) -> int | None:
        count = self._count
        if count is None:
            return None
        header = dcmread(held[0].path, specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
        study_uid = header.get("StudyInstanceUID")
        return count(str(study_uid), series_uid) if study_uid else None


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
