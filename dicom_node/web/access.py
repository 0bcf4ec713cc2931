"""Who may open the page: the token, the cookie that stands for it, and where requests come from."""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse

from dicom_node import secret
from dicom_node.audit import Party
from dicom_node.config_web import LEAST_TOKEN
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dicom_node.audit import Trail
    from dicom_node.config_web import Web

log = logging.getLogger(__name__)

#: A login is good for so long, s: one working day.
LOGIN_S: Final = 12 * 3600
#: Larger forms are refused, bytes.
_MOST_FORM: Final = 65536
#: What needs no token and tells nothing of patients.
_OPEN: Final = ("/health/", "/static/")
_LOGIN: Final = "/login"
_SAFE: Final = ("GET", "HEAD")

#: Nothing from elsewhere, nothing inline, no frames; every answer is forgotten at once.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Access:
    """The rules of one node. Raises ConfigError when its token is not where it should be."""

    def __init__(self, table: Web, trail: Trail, now: Callable[[], float]) -> None:
        """`now` gives seconds since the epoch."""
        self._token = read_token(table)
        self._trail = trail
        self._now = now
        self._key = secrets.token_bytes(32)
        self._names = {"localhost", "127.0.0.1", "[::1]", _bracketed(table.host), *table.names}
        #: Browsers keep the cookies of all ports of a host together.
        self.cookie = f"lesionmark-{table.port}"

    @property
    def is_guarded(self) -> bool:
        """Whether there is a token."""
        return bool(self._token)

    def is_token(self, text: str) -> bool:
        """Whether that is the token; takes equally long wherever they differ."""
        return self.is_guarded and hmac.compare_digest(text.encode(), self._token.encode())

    def knows_host(self, host: str) -> bool:
        """Whether a browser may have asked for us by that name (and port)."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name.lower() in self._names

    def new_login(self) -> str:
        """The value of a cookie that stands for the token."""
        expires = str(round(self._now() + LOGIN_S))
        return f"{expires}.{self._sign('login', expires)}"

    def is_login(self, cookie: str) -> bool:
        """Whether this process gave out the cookie, and not too long ago."""
        expires, _, signature = cookie.partition(".")
        is_ours = hmac.compare_digest(signature.encode(), self._sign("login", expires).encode())
        return is_ours and self._now() < int(expires)

    def form_token(self, request: HTTPConnection) -> str:
        """What a form of ours carries, so that no other site can send one like it."""
        return self._sign("form", request.cookies.get(self.cookie, ""))

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form of ours. Raises HTTPException for one of somebody else's."""
        fields = {key: values[-1] for key, values in parse_qs(await _body(request)).items()}
        given = fields.pop("form_token", "")
        if request.scope.get("bearer"):
            return fields
        if not hmac.compare_digest(given.encode(), self.form_token(request).encode()):
            raise HTTPException(403, "This form is out of date: open the page again.")
        return fields

    def turn_away(self, connection: HTTPConnection, reason: str) -> None:
        """Write down that somebody was not let in."""
        log.warning("LM811 the page was refused to %s: %s", address(connection), reason)
        self._trail.turned_away(Party("", address(connection)), reason)

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.digest(self._key, f"{purpose}:{text}".encode(), "sha256").hex()


class Guard:
    """Lets through what the rules allow, and adds the headers that keep a browser strict."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(HTTPConnection(scope))
        await (refusal or self._app)(scope, receive, _strict(send))

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        scope, headers = connection.scope, connection.headers
        if scope["path"].startswith(_OPEN):
            return None
        if "authorization" in headers:
            return self._by_bearer(connection)
        if not self._access.knows_host(headers.get("host", "")):
            return _answer(421, "This node is not known by that name: add it to web.names.")
        if scope["method"] not in _SAFE and not _is_from_here(headers):
            self._access.turn_away(connection, "a form of another site")
            return _answer(403, "Forms of other sites are not accepted.")
        return self._without_login(connection)

    def _by_bearer(self, connection: HTTPConnection) -> Response | None:
        kind, _, token = connection.headers["authorization"].partition(" ")
        if kind.lower() == "bearer" and self._access.is_token(token.strip()):
            connection.scope["bearer"] = True
            return None
        self._access.turn_away(connection, "a wrong token")
        return _answer(401, "That is not the token.", {"WWW-Authenticate": "Bearer"})

    def _without_login(self, connection: HTTPConnection) -> Response | None:
        path, cookie = connection.scope["path"], connection.cookies.get(self._access.cookie, "")
        if not self._access.is_guarded or path == _LOGIN or self._access.is_login(cookie):
            return None
        if "text/html" in connection.headers.get("accept", ""):
            return RedirectResponse(_LOGIN, 303)
        return _answer(401, "This page needs the token.", {"WWW-Authenticate": "Bearer"})


def read_token(table: Web) -> str:
    """The token itself. Raises ConfigError when it is not where the configuration says."""
    wanted = table.token.get_secret_value()
    token = secret.read("web.token", wanted)
    if wanted and len(token) < LEAST_TOKEN:
        raise ConfigError(
            f"web.token: what it refers to must have {LEAST_TOKEN} characters at least"
        )
    return token


def address(connection: HTTPConnection) -> str:
    """Where a request comes from."""
    return connection.client.host if connection.client else ""


def _is_from_here(headers: Headers) -> bool:
    """Whether one of our own pages sent the form; browsers say so, and scripts cannot lie."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "")


async def _body(request: Request) -> str:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM:
            raise HTTPException(413, "This form is too large.")
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        raise HTTPException(400, "This is no form.") from error


def _strict(send: Send) -> Send:
    async def send_strictly(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return send_strictly


def _answer(status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(words + "\n", status, headers)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
