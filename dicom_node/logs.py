"""The log: our own words, and no patient's.

Libraries quote the values that they do not understand, in warnings, in log records and in the
messages of errors, and such a value may be a patient's name. Here they are kept from it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pydicom.config
from pynetdicom import _config as pynetdicom_config

from dicom_node import journal
from dicom_node.errors import describe
from dicom_node.log_facts import facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

#: Libraries that repeat what peers do wrong and quote it; we say that by name ourselves.
_QUOTING = ("pydicom", "pynetdicom")
_LINE = "%(asctime)s %(levelname)s %(message)s"


class DiscreetFormatter(logging.Formatter):
    """Shows where an error arose, and of its message only what cannot be data."""

    def formatException(  # noqa: N802 - the name is the library's
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """The traceback, cause first, without the messages that quote data."""
        return "".join(_lines(ei[1])).rstrip("\n") if ei[1] is not None else ""


class JsonFormatter(DiscreetFormatter):
    """One JSON object a line, for collectors of containers' logs."""

    def format(self, record: logging.LogRecord) -> str:
        """Time (ISO 8601, UTC), level, logger, message, and what it is about."""
        at = datetime.fromtimestamp(record.created, UTC)
        known = {"time": at.isoformat(), "level": record.levelname, "logger": record.name}
        return json.dumps(known | {"message": super().format(record)} | facts(record))


def to_stderr(level: str, style: str = "text") -> None:
    """Our own words at the chosen level; of the libraries only their warnings.

    As lines of `style` "text" or "json"; where standard error is the journal, as its records.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[_handler(style)])
    set_level(level)
    for name in _QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    keep_libraries_discreet()


def set_level(level: str) -> None:
    """From now on our own words at that level."""
    for name in ("dicom_node", "plugin"):
        logging.getLogger(name).setLevel(level)


def _handler(style: str) -> logging.Handler:
    if journal.has_stderr(os.environ.get("JOURNAL_STREAM")):
        with suppress(OSError):  # a container's journal may keep its socket from us
            handler = journal.JournalHandler()
            handler.setFormatter(DiscreetFormatter("%(message)s"))
            return handler
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonFormatter() if style == "json" else DiscreetFormatter(_LINE))
    return lines


def keep_libraries_discreet() -> None:
    """Keep what is read from data sets out of warnings and of pynetdicom's own records."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pynetdicom_config.LOG_REQUEST_IDENTIFIERS = False
    pynetdicom_config.LOG_RESPONSE_IDENTIFIERS = False
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _lines(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _lines(before)
        yield "which led to\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{describe(error)}\n"
