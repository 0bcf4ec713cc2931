"""Templates become answers; everything in them is escaped."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from dicom_node import database
from dicom_node.errors import NodeError
from dicom_node.states import SeriesState
from dicom_node.web import words
from dicom_node.wording import plural

if TYPE_CHECKING:
    from starlette.requests import Request

    from dicom_node.web import Sources
    from dicom_node.web.access import Access

log = logging.getLogger(__name__)

#: RFC 9110 15.6.4.
_UNAVAILABLE: Final = 503
_TITLES: Final = {
    400: "That cannot be read",
    403: "Not accepted",
    404: "There is no such page",
    405: "Not possible here",
    409: "Not now",
    413: "Too large",
    _UNAVAILABLE: "That cannot be looked up now",
}


class Pages:
    """Makes the answers of one node."""

    def __init__(self, sources: Sources, access: Access) -> None:
        self._sources = sources
        self._access = access
        self._environment = Environment(
            loader=PackageLoader("dicom_node.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            iso=words.iso,
            time=words.time_of_day,
            duration=words.duration,
            size=words.size,
            whole=words.whole,
            plural=plural,
        )
        self._environment.globals.update(
            node=sources.settings.node.name,
            is_guarded=access.is_guarded,
            states=list(SeriesState),
            meanings=words.MEANINGS,
        )

    def render(
        self, request: Request, template: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """The page of a template."""
        text = self._environment.get_template(template).render(
            values,
            form_token=self._access.form_token(request),
            now=self._sources.clock().timestamp(),
            path=request.url.path,
        )
        return HTMLResponse(text, status)

    def refusal(self, request: Request, error: Exception) -> HTMLResponse:
        """The page that says why a request came to nothing."""
        status: int = getattr(error, "status_code", 500)
        title = _TITLES.get(status, "That did not work")
        detail: str = getattr(error, "detail", "")
        return self.render(request, "message.html", status, title=title, detail=detail)


def refusal_of(pages: Pages) -> Any:
    """As Starlette wants its handler of HTTPException."""

    def answer(request: Request, error: HTTPException) -> HTMLResponse:
        return pages.refusal(request, error)

    return answer


def trouble_of(pages: Pages) -> Any:
    """As Starlette wants its handler of our own troubles, most of all of a database that is down.

    Whoever looks after the node sees why, and the log has one line and no trace for each look.
    """

    def answer(request: Request, error: Exception) -> HTMLResponse:
        try:
            with database.explained():
                raise error
        except NodeError as trouble:
            log.error("LM814 a page cannot be made: %s", trouble)  # noqa: TRY400
            return pages.refusal(request, HTTPException(_UNAVAILABLE, str(trouble)))

    return answer
