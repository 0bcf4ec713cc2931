"""Key slices as they were drawn when the series was analysed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.routing import Route

from dicom_node.web.pages import uid_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from dicom_node.web import Sources

_DIGEST: Final = re.compile(r"[0-9a-f]{16}")


def routes(sources: Sources) -> list[BaseRoute]:
    """Where the pictures are."""

    def picture(request: Request) -> Response:
        path = sources.revisions.picture(
            uid_of(request), digest_of(request), request.path_params["number"]
        )
        if path is None:
            raise HTTPException(404, "This picture is not kept any more.")
        return FileResponse(path, media_type="image/png")

    return [Route("/series/{uid}/{digest}/{number:int}.png", picture)]


def digest_of(request: Request) -> str:
    """The name of a revision in the address, which cannot leave its folder."""
    digest: str = request.path_params["digest"]
    if not _DIGEST.fullmatch(digest):
        raise HTTPException(404, "This is no revision.")
    return digest
