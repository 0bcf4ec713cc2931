"""What a person can do on the page: try again, send again, analyse anew."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from dicom_node import database, resume
from dicom_node.errors import NodeError
from dicom_node.web.access import address
from dicom_node.web.pages import uid_of
from dicom_node.web.pictures import digest_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dicom_node.web import Sources
    from dicom_node.web.access import Access

log = logging.getLogger(__name__)


class Actions:
    """Each answers with the way back to the page it came from. Raises HTTPException."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def retry_all(self, _: Request) -> list[str]:
        """Take up everything that failed or waits."""
        return resume.retry(self._sources.client, None, self._now())

    def retry(self, request: Request) -> list[str]:
        """Take up what failed or waits of one series."""
        return resume.retry(self._sources.client, uid_of(request), self._now())

    def resend(self, request: Request) -> list[str]:
        """Send everything of one revision to one destination again."""
        return resume.resend(
            self._sources.client,
            self._sources.receipts,
            (uid_of(request), digest_of(request), request.path_params["destination"]),
            self._now(),
        )

    def analyse(self, request: Request) -> list[str]:
        """Let the model that runs now look at the instances of one revision."""
        if self._sources.analyser is None:
            raise HTTPException(409, "This process only receives: ask the page of a worker.")
        return resume.analyse_anew(
            self._sources.client,
            self._sources.revisions,
            self._sources.spool,
            self._sources.revisions.get(uid_of(request), digest_of(request)),
            self._sources.analyser.version,
        )

    def _now(self) -> float:
        return self._sources.clock().timestamp()


def routes(sources: Sources, access: Access) -> list[BaseRoute]:
    """Where the forms of the pages go."""
    actions = Actions(sources)
    series = "/series/{uid}"
    return [
        _route("/retry", actions.retry_all, access),
        _route(f"{series}/retry", actions.retry, access),
        _route(f"{series}/{{digest}}/analyse", actions.analyse, access),
        _route(f"{series}/{{digest}}/send/{{destination}}", actions.resend, access),
    ]


def _route(path: str, act: Callable[[Request], list[str]], access: Access) -> Route:
    async def answer(request: Request) -> Response:
        await access.form(request)
        for line in await run_in_threadpool(_attempt, act, request):
            log.info("LM812 asked for by %s: %s", address(request), line)
        uid = request.path_params.get("uid")
        return RedirectResponse(f"/series/{uid}" if uid else "/", 303)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=["POST"])


def _attempt(act: Callable[[Request], list[str]], request: Request) -> list[str]:
    try:
        with database.explained():
            return act(request)
    except FileNotFoundError as error:
        raise HTTPException(404, "There is no such revision.") from error
    except NodeError as error:
        raise HTTPException(409, str(error)) from error
