"""What a record of the log is about, for programs that read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from logging import LogRecord

_EVENT: Final = re.compile(r"LM\d{3}\b")
#: A placeholder, and the word before it, which names what takes its place.
_PLACEHOLDER: Final = re.compile(r"(?:(\w+) )?%[#0-9.+-]*[a-z]")
_NAMED: Final = ("series", "revision", "destination", "worker")


def facts(record: LogRecord) -> dict[str, str]:
    """The number of the event, and whatever its message names by one of our words.

    Of "LM501 series %s to destination %s: %s" the event, the series and the destination.
    """
    template = str(record.msg)
    event = _EVENT.match(template)
    found = {"event": event[0]} if event else {}
    if event and isinstance(record.args, tuple):
        words = _PLACEHOLDER.findall(template)
        found |= {
            word: str(value)
            for word, value in zip(words, record.args, strict=False)
            if word in _NAMED
        }
    return found
