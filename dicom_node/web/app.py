"""All that is served over HTTP, behind one guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from dicom_node.errors import NodeError
from dicom_node.web import actions, health, metrics, pages, pictures
from dicom_node.web.access import Guard
from dicom_node.web.render import Pages, refusal_of, trouble_of

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from dicom_node.web import Sources
    from dicom_node.web.access import Access


def app(sources: Sources, access: Access) -> Starlette:
    """The application of one node."""
    answers = Pages(sources, access)
    return Starlette(
        routes=_routes(sources, access, answers),
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={
            HTTPException: refusal_of(answers),
            NodeError: trouble_of(answers),
            SQLAlchemyError: trouble_of(answers),
        },
    )


def _routes(sources: Sources, access: Access, answers: Pages) -> list[BaseRoute]:
    return [
        *pages.routes(pages.Views(sources, access, answers)),
        *pictures.routes(sources),
        *actions.routes(sources, access),
        *metrics.routes(sources),
        *health.routes(sources),
    ]
