"""Names of the work in the queue: made of what they are about, and readable again."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import NotRequired, TypedDict
from urllib.parse import quote, unquote

#: Version of the walk. Raise it only when work that is pending under the old one cannot be
#: finished by the new code; pending work of another version waits for that version.
WALK_VERSION = "1"

#: Names of the workflows, each on a queue of the same name.
SETTLE, ANALYSE, DELIVER, PROVE, RETIRE = "settle", "analyse", "deliver", "prove", "retire"
#: Beside the walk: a sender is told what we hold of what it sent.
VOUCH = "vouch"


class Outcome(TypedDict):
    """How a piece of work ended, as it is kept in the work queue."""

    #: A SeriesState or DeliveryState.
    state: str
    #: For a person, without patient data.
    reason: str
    #: When, seconds since the epoch.
    at: float
    #: Seconds until the next try; None when there will be none.
    again_s: float | None
    #: Of an analysis that gave a report: when the series was whole, seconds since the epoch. The
    #: queue itself may know that only to the second.
    whole_at: NotRequired[float]


@dataclass(frozen=True)
class AnalysisId:
    """One analysis of one revision of a series."""

    #: Series Instance UID.
    series_uid: str
    #: Revision digest.
    digest: str
    #: From 0; each `lesionmark retry` adds one.
    attempt: int

    def __str__(self) -> str:
        """The workflow id."""
        return f"{ANALYSE}/{self.series_uid}/{self.digest}/{self.attempt}"

    @staticmethod
    def parse(text: str) -> AnalysisId:
        """Read a workflow id back."""
        _, series_uid, digest, attempt = text.split("/")
        return AnalysisId(series_uid, digest, int(attempt))

    def next(self) -> AnalysisId:
        """The attempt after this one."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class DeliveryId:
    """One try to deliver one revision to one destination, or to prove that it is kept there.

    Tries of both kinds are numbered through, so the highest number says where it stands.
    """

    #: DELIVER or PROVE.
    work: str
    #: Series Instance UID.
    series_uid: str
    #: Revision digest.
    digest: str
    #: Name of the destination in config.toml.
    destination: str
    #: From 0.
    attempt: int

    def __str__(self) -> str:
        """The workflow id."""
        return "/".join(map(str, astuple(self)))

    @staticmethod
    def parse(text: str) -> DeliveryId:
        """Read a workflow id back."""
        work, series_uid, digest, destination, attempt = text.split("/")
        return DeliveryId(work, series_uid, digest, destination, int(attempt))

    def next(self, work: str) -> DeliveryId:
        """The try after this one, of either kind."""
        return replace(self, work=work, attempt=self.attempt + 1)

    def is_about(self, other: DeliveryId) -> bool:
        """Whether both are tries of the same delivery."""
        return replace(self, work=other.work, attempt=other.attempt) == other


@dataclass(frozen=True)
class VouchId:
    """One try to report to a sender what we hold of what it asked about (PS3.4 J.3.3)."""

    #: Its AE title.
    sender: str
    #: Transaction UID (0008,1195) of its request.
    transaction_uid: str
    #: From 0.
    attempt: int

    def __str__(self) -> str:
        """The workflow id; an AE title may hold slashes."""
        return f"{VOUCH}/{quote(self.sender, safe='')}/{self.transaction_uid}/{self.attempt}"

    @staticmethod
    def parse(text: str) -> VouchId:
        """Read a workflow id back."""
        _, sender, transaction_uid, attempt = text.split("/")
        return VouchId(unquote(sender), transaction_uid, int(attempt))

    def next(self) -> VouchId:
        """The try after this one."""
        return replace(self, attempt=self.attempt + 1)
