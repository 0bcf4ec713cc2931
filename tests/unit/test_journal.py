"""Records as the journal and as collectors of logs get them."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dicom_node.journal import JournalHandler, has_stderr
from dicom_node.log_facts import facts
from dicom_node.logs import DiscreetFormatter, JsonFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Journal:
    """A socket that takes records as journald does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)

    def take(self) -> dict[str, str]:
        data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 20, 1)
        for descriptor in descriptors:
            with os.fdopen(descriptor, "rb") as file:
                file.seek(0)
                data = file.read()
        return decode(data)


def decode(data: bytes) -> dict[str, str]:
    fields = {}
    while data:
        name, _, data = data.partition(b"\n")
        length, data = int.from_bytes(data[:8], "little"), data[8:]
        assert data[length : length + 1] == b"\n"
        fields[name.decode()] = data[:length].decode()
        data = data[length + 1 :]
    return fields


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "socket")
    yield made
    made.socket.close()


@pytest.fixture
def log(journal: Journal) -> Iterator[logging.Logger]:
    handler = JournalHandler(str(journal.path))
    handler.setFormatter(DiscreetFormatter("%(message)s"))
    logger = logging.getLogger("tests.journal")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    handler.close()


def test_a_record_has_fields_to_search_for(journal: Journal, log: logging.Logger) -> None:
    log.error("LM502 series %s to destination %s: given up", "1.2.3", "pacs")
    taken = journal.take()
    assert taken == taken | {
        "MESSAGE": "LM502 series 1.2.3 to destination pacs: given up",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "lesionmark",
        "LESIONMARK_EVENT": "LM502",
        "LESIONMARK_SERIES": "1.2.3",
        "LESIONMARK_DESTINATION": "pacs",
    }


def test_a_name_that_is_no_unicode_is_told_all_the_same(
    journal: Journal, log: logging.Logger
) -> None:
    name = os.fsdecode(b"r\xf6ntgen")
    # Not by the logger: pytest sends what it catches from process to process as Unicode.
    record = log.makeRecord(log.name, logging.WARNING, "", 0, "LM999 file %s", (name,), None)
    [handler] = [each for each in log.handlers if isinstance(each, JournalHandler)]
    handler.emit(record)
    assert journal.take()["MESSAGE"] == r"LM999 file r\udcf6ntgen"


@pytest.mark.parametrize(("level", "priority"), [(50, 3), (40, 3), (30, 4), (20, 6), (10, 7)])
def test_a_level_is_the_journals_priority(
    journal: Journal, log: logging.Logger, level: int, priority: int
) -> None:
    log.log(level, "words")
    assert journal.take()["PRIORITY"] == str(priority)


def test_a_record_of_many_lines_and_any_length_arrives_whole(
    journal: Journal, log: logging.Logger
) -> None:
    words = "one\nPRIORITY=0\n" * 40_000
    log.info(words)
    assert journal.take()["MESSAGE"] == words


def test_an_error_is_told_without_the_value_it_quotes(
    journal: Journal, log: logging.Logger
) -> None:
    try:
        int("Secret^" + "Person")
    except ValueError:
        log.exception("LM403 series %s: the analysis failed", "1.2.3")
    taken = journal.take()
    assert "ValueError" in taken["MESSAGE"]
    assert "Secret^Person" not in str(taken)


def test_what_a_journal_that_is_gone_does_not_take_stands_on_standard_error(
    journal: Journal, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.socket.close()
    log.info("LM001 ready")
    assert capsys.readouterr().err == "LM001 ready\n"


def test_standard_error_is_the_journal_only_where_the_variable_means_that_file() -> None:
    words = "import os, sys; from dicom_node.journal import has_stderr; s = os.fstat(2);"
    words += "print(has_stderr(f'{s.st_dev}:{s.st_ino}'), has_stderr(f'{s.st_dev}:0'))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, check=True)
    assert done.stdout.split() == [b"True", b"False"]
    assert not has_stderr(None)


@pytest.mark.parametrize(
    ("template", "arguments", "expected"),
    [
        ("LM401 series %s revision %d: %s", ("1.2", 2, "x"), {"series": "1.2", "revision": "2"}),
        ("LM704 %s of worker %s goes on", ("w", "b"), {"worker": "b"}),
        ("LM505 series %s at destination %s: no", ("1", "p"), {"series": "1", "destination": "p"}),
        ("LM001 ready", (), {}),
    ],
)
def test_what_a_record_is_about(
    template: str, arguments: tuple[object, ...], expected: dict[str, str]
) -> None:
    record = logging.LogRecord("n", logging.INFO, "f", 1, template, arguments, None)
    assert facts(record) == {"event": template[:5]} | expected


def test_a_library_has_no_event() -> None:
    record = logging.LogRecord("n", logging.INFO, "f", 1, "series %s", ("name",), None)
    assert facts(record) == {}


def test_a_line_for_collectors_is_one_object() -> None:
    record = logging.LogRecord(
        "dicom_node.steps", logging.INFO, "f", 1, "LM404 series %s: %s", ("1.2", "a\nb"), None
    )
    record.created = 0.5
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.500000+00:00",
        "level": "INFO",
        "logger": "dicom_node.steps",
        "message": "LM404 series 1.2: a\nb",
        "event": "LM404",
        "series": "1.2",
    }
