"""/health/live and /health/ready, for service managers and balancers; they tell no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse
from starlette.routing import Route

from dicom_node import database
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dicom_node.web import Sources

OK: Final = "ok"
#: RFC 9110 15.6.4.
_UNAVAILABLE: Final = 503
#: There is no work of that name; what counts is the answer.
_NOBODY: Final = "health"


def routes(sources: Sources) -> list[BaseRoute]:
    """Whether the node should be restarted, and whether it should be sent anything."""

    # In the loop itself: all threads may be waiting for a database that does not answer.
    async def live(_: Request) -> Response:
        return _answer(_live(sources))

    def ready(_: Request) -> Response:
        return _answer({**_live(sources), **_ready(sources)})

    return [Route("/health/live", live), Route("/health/ready", ready)]


def _live(sources: Sources) -> dict[str, str]:
    """What is wrong with a part stands in the log; here it may be read by anybody."""
    faults = sources.vitals.faults().items()
    return {part: OK if fault is None else "stuck" for part, fault in faults}


def _ready(sources: Sources) -> dict[str, str]:
    is_full = sources.receives and sources.spool.is_full()
    return {
        "database": _database(sources),
        "disk": "under listener.disk_reserve_mb" if is_full else OK,
    }


def _database(sources: Sources) -> str:
    try:
        with database.explained():
            sources.client.list_workflows(workflow_ids=[_NOBODY], limit=1)
    except NodeError:
        return "does not answer"
    return OK


def _answer(checks: Mapping[str, str]) -> Response:
    is_good = all(words == OK for words in checks.values())
    content = {"status": OK if is_good else "failing", "checks": checks}
    return JSONResponse(content, 200 if is_good else _UNAVAILABLE)
