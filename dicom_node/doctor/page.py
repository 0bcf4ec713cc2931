"""The status page: whether its port is ours, and what the node says of its own health."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from dicom_node.doctor.check import failed, passed, skipped
from dicom_node.doctor.node import address
from dicom_node.doctor.ports import holder

if TYPE_CHECKING:
    from dicom_node.config import Settings
    from dicom_node.doctor.check import Check

_NAME: Final = "status page"
_LOG: Final = "see why in its log: journalctl -u lesionmark"
#: Seconds to wait for the page, which is on this machine.
_TIMEOUT_S: Final = 10.0


def page(settings: Settings, *, runs: bool) -> Check:
    """`runs` says whether the node answers by DICOM."""
    web = settings.web
    if not web.port:
        return skipped(_NAME, "web.port is 0")
    host = address(web.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{web.port}/health/ready"
    try:
        parts = _ask(url)
    except ConnectionRefusedError:
        if runs:
            return failed(_NAME, f"nobody listens on {host}:{web.port}", _LOG)
        return skipped(_NAME, "is not there, as the node is not")
    except (OSError, ValueError):
        who = holder(web.port)
        seen = f"web.port {web.port} is taken by another program{f' ({who})' if who else ''}"
        return failed(_NAME, seen, "stop that program, or choose another web.port")
    bad = [f"{part}: {said}" for part, said in parts.items() if said != "ok"]
    if bad:
        return failed(_NAME, f"the node is not ready: {', '.join(bad)}", _LOG)
    return passed(_NAME, f"{url}: {', '.join(parts)} ok")


def _ask(url: str) -> dict[str, str]:
    """What the node says of its parts. Raises OSError, and ValueError for another's words."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=_TIMEOUT_S) as answer:
            return _parts(answer.read())
    except HTTPError as error:
        with error:
            return _parts(error.read())
    except URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError(url) from error


def _parts(body: bytes) -> dict[str, str]:
    said = json.loads(body)
    if not isinstance(said, dict) or not isinstance(said.get("checks"), dict):
        raise ValueError("not the words of a node")  # noqa: TRY004
    return {str(part): str(word) for part, word in said["checks"].items()}
