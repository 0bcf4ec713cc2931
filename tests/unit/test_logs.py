"""What an error may say in the log, and what it may not."""

from __future__ import annotations

import logging
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import dicom_node
from dicom_node.errors import MismatchedInstance, describe
from dicom_node.logs import DiscreetFormatter


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("could not convert 'Secret^Person'"), "ValueError"),
        (KeyError("Secret^Person"), "KeyError"),
        (UnicodeDecodeError("utf-8", b"Secret", 0, 1, "Secret"), "UnicodeDecodeError"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
        (MismatchedInstance("1.2 was announced"), "MismatchedInstance: 1.2 was announced"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_error_is_described_without_the_value_it_quotes(error: Exception, words: str) -> None:
    assert describe(error) == words


def test_a_traceback_shows_places_and_causes_and_no_value() -> None:
    try:
        try:
            float("Secret^Person")
        except ValueError as error:
            raise RuntimeError("no age") from error
    except RuntimeError:
        record = logging.LogRecord(
            "plugin", logging.ERROR, __file__, 1, "failed", None, sys.exc_info()
        )
    text = DiscreetFormatter("%(message)s").format(record)
    first, second = text.split("which led to")
    assert "in test_a_traceback" in first
    assert first.rstrip().endswith("ValueError")
    assert second.endswith("RuntimeError: no age")
    # The source line is shown, which is ours; the value stands in it only in this test.
    assert text.count("Secret") == 1


def test_a_code_means_one_thing() -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for path in Path(dicom_node.__file__).parent.rglob("*.py"):
        for code, words in re.findall(r'"(LM\d{3}) ([^"]+)"', path.read_text()):
            meanings[code].add(words)
    assert len(meanings) > 40
    assert {code: words for code, words in meanings.items() if len(words) > 1} == {}
