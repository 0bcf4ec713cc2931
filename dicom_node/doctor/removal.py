"""Removes the test study from an archive, by what DICOM lacks and archives offer beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from dicom_node import secret
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.config_tables import Removal

#: Seconds to wait for an answer.
_TIMEOUT_S = 30.0


class NotRemoved(NodeError):
    """The archive did not remove the test study; the message says why."""


def remove(removal: Removal, study_uid: str) -> None:
    """Remove one study, which only a test can have made. Raises NotRemoved, ConfigError."""
    if removal.by == "dicomweb":
        _call(removal, "DELETE", f"/studies/{study_uid}")
        return
    found = json.loads(_call(removal, "POST", "/tools/lookup", study_uid.encode()))
    studies = [entry["ID"] for entry in found if entry["Type"] == "Study"]
    if not studies:
        raise NotRemoved(f"{removal.url}: knows no such study")
    for study in studies:
        _call(removal, "DELETE", f"/studies/{study}")


def _call(removal: Removal, method: str, path: str, body: bytes | None = None) -> bytes:
    call = Request(removal.url.rstrip("/") + path, data=body, method=method)
    key = "destination.removal.authorization"
    authorization = secret.read(key, removal.authorization.get_secret_value())
    if authorization:
        call.add_header("Authorization", authorization)
    # An archive is in the house; a proxy of the environment leads out of it.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(call, timeout=_TIMEOUT_S) as answer:
            content: bytes = answer.read()
            return content
    except HTTPError as error:
        raise NotRemoved(f"{removal.url}: {method}: status {error.code} {error.reason}") from error
    except (URLError, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise NotRemoved(f"{removal.url}: {reason}") from error
