"""Whatever a destination answers, each report ends there once, or visibly fails."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import pytest

from dicom_node.statuses import SUCCESS
from tests.instances import write_series
from tests.node import Node
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.events import Event as Request

    from tests.instances import WrittenSeries

#: Instead of a status: no answer, an A-ABORT, a TCP reset.
STALL, ABORT, RESET = -1, -2, -3
#: PS3.4 Table B.2-1 and PS3.7 Annex C.
COERCED, ELEMENTS_DISCARDED, MISMATCH = 0xB000, 0xB006, 0xB007
OUT_OF_RESOURCES, PROCESSING_FAILURE, RESOURCE_LIMITATION = 0xA700, 0x0110, 0x0213
NOT_MATCHING, CANNOT_UNDERSTAND, NO_SUCH_CLASS, NOT_AUTHORIZED = 0xA900, 0xC000, 0x0122, 0x0124
DUPLICATE, INVALID_INSTANCE = 0x0111, 0x0117


class PacsByStudy(ScriptedPacs):
    """Answers each study by a script of its own, then Success."""

    def __init__(self) -> None:
        super().__init__()
        self.script: dict[str, list[int]] = {}
        #: Study Instance UID of every request.
        self.asked: list[str] = []
        self.over = Event()

    def _handle_store(self, event: Request) -> int:
        study = str(event.dataset.StudyInstanceUID)
        answers = self.script[study]
        answer = answers.pop(0) if answers else SUCCESS
        self.asked.append(study)
        if answer == STALL:
            self.over.wait(20)
        elif answer == ABORT:
            event.assoc.abort()
        elif answer == RESET:
            _reset(event)
        elif answer == SUCCESS:
            self.kept.append(event.dataset)
        return max(answer, SUCCESS)


def _reset(event: Request) -> None:
    connection = event.assoc.dul.socket.socket
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    event.assoc.dul.socket.close()


@dataclass(frozen=True)
class Case:
    #: What the destination answers, one after the other.
    answers: list[int]
    #: The state in the end.
    state: str
    #: How often it is asked.
    requests: int


CASES = {
    "success": Case([SUCCESS], "delivered", 1),
    "coerced": Case([COERCED], "delivered", 1),
    "elements discarded": Case([ELEMENTS_DISCARDED], "delivered", 1),
    "does not match, but kept": Case([MISMATCH], "delivered", 1),
    "duplicate": Case([DUPLICATE], "delivered", 1),
    "out of resources": Case([OUT_OF_RESOURCES] * 2, "delivered", 3),
    "out of resources, another": Case([0xA7FF], "delivered", 2),
    "processing failure": Case([PROCESSING_FAILURE], "delivered", 2),
    "resource limitation": Case([RESOURCE_LIMITATION], "delivered", 2),
    "a status that nobody knows": Case([0x0999], "delivered", 2),
    "not matching": Case([NOT_MATCHING], "failed", 1),
    "cannot understand": Case([CANNOT_UNDERSTAND], "failed", 1),
    "no such class, set up later": Case([NO_SUCH_CLASS], "delivered", 2),
    "not authorized, set up later": Case([NOT_AUTHORIZED], "delivered", 2),
    "invalid instance": Case([INVALID_INSTANCE], "failed", 1),
    "aborts": Case([ABORT, ABORT], "delivered", 3),
    "resets": Case([RESET, RESET], "delivered", 3),
    "stalls": Case([STALL], "delivered", 2),
    "everything": Case([RESET, OUT_OF_RESOURCES, ABORT, PROCESSING_FAILURE], "delivered", 5),
}


@dataclass(frozen=True)
class Delivered:
    node: Node
    pacs: PacsByStudy
    sent: dict[str, WrittenSeries]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """All cases side by side, so that none may hold up another."""
    folder, pacs = tmp_path_factory.mktemp("destinations"), PacsByStudy()
    pacs.start()
    to = [("pacs", pacs.ae_title, pacs.port)]
    patience = {"timeout_s": 2.0, "first_retry_s": 0.3, "longest_retry_s": 1.0}
    with Node(folder / "node", to, delivery=patience) as node:
        sent = {}
        for number, (name, case) in enumerate(CASES.items()):
            sent[name] = write_series(folder / str(number), 3)
            pacs.script[sent[name].study_uid] = list(case.answers)
            node.send(sent[name].paths)
        yield Delivered(node, pacs, sent)
        pacs.over.set()
    pacs.stop()


@pytest.mark.parametrize("name", CASES)
def test_every_answer(delivered: Delivered, name: str) -> None:
    case, series = CASES[name], delivered.sent[name]
    delivered.node.wait_for(series, case.state)
    assert delivered.pacs.asked.count(series.study_uid) == case.requests
    if case.state == "failed":
        [delivery] = delivered.node.status(series)[0].deliveries
        assert f"0x{case.answers[-1]:04X}" in delivery.reason


def test_a_failure_can_be_resumed(delivered: Delivered) -> None:
    failed = [delivered.sent[name] for name, case in CASES.items() if case.state == "failed"]
    assert delivered.node.call("retry").stdout.count("delivery again") == len(failed)
    for series in failed:
        delivered.node.wait_for(series, "delivered")
