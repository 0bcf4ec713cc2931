"""What is wrong with a configuration, in one sentence for each fault."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

#: Keys whose values no message repeats.
_SECRETS = {"node.database", "web.token"}


def sentences(error: ValidationError) -> list[str]:
    """The key, what is wrong with its value, and the value."""
    return [_sentence(fault) for fault in _causes(error)]


def _causes(error: ValidationError) -> list[dict[str, Any]]:
    """The faults, without "too short" for a list that is so only because an item is wrong."""
    faults: list[dict[str, Any]] = [{**fault} for fault in error.errors()]
    places: list[tuple[Any, ...]] = [fault["loc"] for fault in faults]
    return [
        fault
        for fault in faults
        if fault["type"] != "too_short" or sum(_within(p, fault["loc"]) for p in places) == 1
    ]


def _within(place: tuple[Any, ...], outer: tuple[Any, ...]) -> bool:
    return place[: len(outer)] == outer


def _sentence(error: dict[str, Any]) -> str:
    key = re.sub(r"\.(\d+)", lambda m: f"[{int(m[1]) + 1}]", ".".join(map(str, error["loc"])))
    fault = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: is missing"
    if error["type"] == "extra_forbidden":
        return f"{key}: there is no such key"
    is_quoted = not isinstance(error["input"], dict) and key not in _SECRETS
    given = f" (it is {error['input']!r})" if is_quoted else ""
    return f"{key}: {fault}{given}"
