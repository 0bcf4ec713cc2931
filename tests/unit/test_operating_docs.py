"""docs/operate.md names everything that an administrator may see, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dicom_node.states import DeliveryState, SeriesState
from dicom_node.statuses import StoreStatus

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text()
_MESSAGE = re.compile(r'log\.\w+\(\s*"(LM\d{3}) ([^"]*)"')


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def messages() -> dict[str, set[str]]:
    """What is said under each number, anywhere in the code."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "dicom_node").rglob("*.py"):
        for number, words in _MESSAGE.findall(path.read_text()):
            found.setdefault(number, set()).add(words)
    return found


@pytest.mark.parametrize(
    ("heading", "states"),
    [("States of a series", SeriesState), ("States of a delivery", DeliveryState)],
)
def test_every_state_is_explained(
    heading: str, states: type[SeriesState] | type[DeliveryState]
) -> None:
    assert [row[0] for row in rows(heading)] == [f"`{state}`" for state in states]


def test_every_status_that_a_sender_sees_is_explained() -> None:
    explained = {(row[0], row[1]) for row in rows("Statuses that a sender sees")}
    assert explained == {(f"0x{status:04X}", status.name) for status in StoreStatus}


def test_every_message_is_explained_with_what_to_do() -> None:
    explained = rows("Messages")
    assert [row[0] for row in explained] == sorted(messages())
    assert all(len(row) == 3 and all(row) for row in explained)


def test_a_number_names_one_message() -> None:
    assert {n: words for n, words in messages().items() if len(words) > 1} == {}
