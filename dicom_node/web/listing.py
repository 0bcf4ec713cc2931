"""The list of all series: search, filter, and one page of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from dicom_node.states import SeriesState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_node.standing import SeriesStatus

#: Rows of one page.
ROWS: Final = 50
#: A filter: whatever is not over.
OPEN: Final = "open"
FILTERS: Final = (OPEN, *(state.value for state in SeriesState))


@dataclass(frozen=True)
class Query:
    """What is asked for."""

    #: Words that must all occur in what is shown of a series; empty for any.
    text: str
    #: One of FILTERS; empty for any.
    state: str
    #: From 1.
    page: int

    @staticmethod
    def parse(parameters: Mapping[str, str]) -> Query:
        """Of a request; what makes no sense counts as not given."""
        state = parameters.get("state", "")
        page = parameters.get("page", "")
        return Query(
            text=parameters.get("q", "").strip(),
            state=state if state in FILTERS else "",
            page=max(1, int(page)) if page.isdecimal() and len(page) < 7 else 1,
        )

    def url(self, page: int) -> str:
        """The address of another page of the same list."""
        wanted = {"q": self.text, "state": self.state, "page": str(page) if page > 1 else ""}
        return "/series?" + urlencode({key: value for key, value in wanted.items() if value})


@dataclass(frozen=True)
class Listing:
    """One page of the list."""

    #: What was asked for; the page is one that exists.
    query: Query
    #: Newest first.
    rows: tuple[SeriesStatus, ...]
    #: How many series and revisions match.
    total: int
    #: How many pages there are, at least 1.
    pages: int


def choose(statuses: Iterable[SeriesStatus], query: Query) -> Listing:
    """The page of what matches."""
    found = [status for status in statuses if _matches(status, query)]
    pages = max(1, -(-len(found) // ROWS))
    page = min(query.page, pages)
    rows = tuple(found[(page - 1) * ROWS : page * ROWS])
    return Listing(Query(query.text, query.state, page), rows, len(found), pages)


def _matches(status: SeriesStatus, query: Query) -> bool:
    if query.state == OPEN:
        if status.is_settled:
            return False
    elif query.state and status.state != query.state:
        return False
    return not query.text or _holds(status, query.text.lower().split())


def _holds(status: SeriesStatus, wanted: Sequence[str]) -> bool:
    shown = [status.series_uid, status.state, status.why]
    if status.analysis:
        shown.append(status.analysis.digest)
    for delivery in status.deliveries:
        shown += [delivery.id.destination, delivery.state, delivery.reason]
    text = "\n".join(shown).lower()
    return all(word in text for word in wanted)
