"""What the page computes: the day, queues, words, charts and the contrast of its colours."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import dicom_node.web
from dicom_node.config_tables import Destination
from dicom_node.standing import DeliveryStatus, SeriesStatus
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.web import chart, figures, words
from dicom_node.web.listing import Query
from dicom_node.wording import plural
from dicom_node.work import DELIVER, AnalysisId, DeliveryId

NOW = datetime(2026, 3, 1, 14, 30, tzinfo=UTC).astimezone()
CSS = (Path(dicom_node.web.__file__).parent / "static" / "page.css").read_text()


def series(
    ago_s: float, turnaround_s: float | None, state: SeriesState = SeriesState.DELIVERED
) -> SeriesStatus:
    """A series that was whole so long ago, and at every destination so long after."""
    whole_at = NOW.timestamp() - ago_s
    done = None if turnaround_s is None else whole_at + turnaround_s
    good = DeliveryState.DELIVERED if done else DeliveryState.FAILED
    delivery = DeliveryStatus(
        DeliveryId(DELIVER, "1.2", "abc", "pacs", 0),
        good,
        "said so",
        done is not None,
        at=done or whole_at + 1,
        acknowledged_at=done,
    )
    return SeriesStatus(
        "1.2",
        AnalysisId("1.2", "abc", 0),
        state,
        "",
        whole_at,
        () if state is SeriesState.REFUSED else (delivery,),
        whole_at=whole_at,
        ended_at=done or whole_at + 1,
    )


def test_the_day_counts_by_the_hours_of_the_clock() -> None:
    found = figures.day(
        [
            series(60, 2.0),
            series(90, 4.0),
            series(3600, 9.0),
            series(25 * 3600, 1.0),
            series(120, None, SeriesState.FAILED),
            series(130, None, SeriesState.REFUSED),
        ],
        NOW,
    )
    assert (found.reported, found.without, found.median_s) == (3, 2, 4.0)
    assert found.p95_s == pytest.approx(8.5)
    running, before = found.hours[-1], found.hours[-2]
    assert (running.reported, running.without, running.turnaround_s) == (2, 2, 3.0)
    assert (before.reported, before.without, before.turnaround_s) == (1, 0, 9.0)
    assert running.start == NOW.replace(minute=0).timestamp()
    assert sum(hour.reported for hour in found.hours) == 3


def test_an_empty_day_is_a_day() -> None:
    found = figures.day([], NOW)
    assert (found.reported, found.median_s, found.p95_s) == (0, None, None)
    assert chart.throughput(found).bars == chart.turnaround(found).bars == ()


def test_a_destination_has_a_queue_and_a_last_answer() -> None:
    peers = [
        Destination(name=name, host="localhost", port=104, ae_title="P")
        for name in ("pacs", "idle")
    ]
    late = series(500, 2.0)
    waiting = [
        _with(series(ago, None), state=state)
        for ago, state in (
            (900, DeliveryState.WAITING),
            (800, DeliveryState.RETRYING),
            (9999, DeliveryState.FAILED),
        )
    ]
    pacs, idle = figures.outlets([late, *waiting], peers, NOW.timestamp())
    assert (pacs.waiting, pacs.retrying, pacs.failed, pacs.delivered) == (1, 1, 1, 1)
    assert pacs.oldest_at == NOW.timestamp() - 900
    assert pacs.last is late.deliveries[0]
    assert (idle.waiting, idle.oldest_at, idle.last) == (0, None, None)


def _with(status: SeriesStatus, **changes: Any) -> SeriesStatus:
    from dataclasses import replace

    return replace(status, deliveries=(replace(status.deliveries[0], **changes),))


def test_bars_stand_on_each_other_within_the_picture() -> None:
    drawn = chart.throughput(
        figures.day([series(60, 2.0), series(70, None, SeriesState.FAILED)], NOW)
    )
    good, bad = drawn.bars
    assert (good.kind, bad.kind) == ("good", "bad")
    assert bad.y + bad.height == pytest.approx(good.y)
    assert 0 <= bad.y < good.y + good.height <= chart.HEIGHT
    assert good.x + good.width <= chart.WIDTH
    assert drawn.top == "2"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4213, "0.42 s"),
        (-0.2, "0.00 s"),
        (12.4, "12 s"),
        (59.7, "60 s"),
        (61, "1 min 1 s"),
        (119.6, "2 min 0 s"),
        (7265, "2 h 1 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_sizes_and_counts_in_words() -> None:
    assert [words.size(n) for n in (12, 2048, 5 << 30, 3 << 40)] == [
        "12 bytes",
        "2.0 KiB",
        "5.0 GiB",
        "3.0 TiB",
    ]
    assert [plural(n, "file") for n in (0, 1, 12_000)] == [
        "0 files",
        "1 file",
        "12,000 files",
    ]
    assert plural(1, "series") == "1 series"
    assert words.whole(-118.6) == "\N{MINUS SIGN}119"


@pytest.mark.parametrize("page", ["0", "-1", "x", "²", "99999999", ""])
def test_a_query_that_makes_no_sense_is_the_first_page(page: str) -> None:
    found = Query.parse({"q": " a  b ", "state": "none", "page": page})
    assert found == Query("a  b", "", 1)
    assert Query("a b&", "failed", 2).url(3) == "/series?q=a+b%26&state=failed&page=3"


#: (words or lines, ground): every pair that occurs, WCAG 2.2 1.4.3.
WORDS = [
    *((ink, ground) for ink in ("ink", "faint", "accent", "bad") for ground in ("paper", "card")),
    *((f"{kind}", f"{kind}-tint") for kind in ("good", "busy", "wait", "bad", "calm")),
    *((kind, "card") for kind in ("good", "busy", "wait", "calm")),
    ("on-accent", "accent"),
    ("on-top", "top"),
    ("on-top-faint", "top"),
]
#: Edges of controls, axes, bars and focus rings: 1.4.11.
LINES = [
    ("edge", "card"),
    ("edge", "paper"),
    ("accent", "paper"),
    ("good", "card"),
    ("bad", "card"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("pair", "least"), [*((pair, 4.5) for pair in WORDS), *((pair, 3.0) for pair in LINES)]
)
def test_colours_have_contrast(scheme: str, pair: tuple[str, str], least: float) -> None:
    colours = _colours(scheme)
    ink, ground = (_luminance(colours[name]) for name in pair)
    contrast = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
    assert contrast >= least, f"{pair[0]} on {pair[1]}: {contrast:.2f}"


def test_no_colour_is_written_outside_the_two_schemes() -> None:
    rest = CSS[CSS.index("* { box-sizing") :]
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rest)) <= {"#000"}  # behind pictures


def _colours(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    text = light if scheme == "light" else light + dark
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, glossary)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
