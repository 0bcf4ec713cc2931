"""What of a configuration a running node takes over, and what has to wait."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.toml_text import assignments
from dicom_node import config
from dicom_node.live import Live, take_over


def settings(**tables: Any) -> config.Settings:
    peer = {"name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}
    peer |= tables.pop("destination", {})
    tables["listener"] = {"sender": [{"ae_title": "S"}]} | tables.get("listener", {})
    text = [f"[{name}]\n" + assignments(table) for name, table in tables.items()]
    return config.parse("\n".join([*text, "[[destination]]", assignments(peer)]))


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("node", "log_level", "DEBUG"),
        ("listener", "sender", [{"ae_title": "OTHER"}]),
        ("listener", "max_associations", 3),
        ("listener", "disk_reserve_mb", 1),
        ("completion", "quiet_period_s", 1.0),
        ("delivery", "timeout_s", 1.0),
        ("proof", "resends", 1),
        ("retention", "keep_h", 1.0),
        ("destination", "port", 105),
    ],
)
def test_what_can_change_changes(table: str, key: str, value: Any) -> None:
    wanted = settings(**{table: {key: value}})
    taken, waiting = take_over(settings(), wanted, settings())
    assert taken == wanted != settings()
    assert waiting == []


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("node", "name", "other"),
        ("node", "state_dir", "/elsewhere"),
        ("listener", "port", 105),
        ("listener", "ae_title", "OTHER"),
        ("listener", "processes", 2),
        ("listener", "other_instances", "reject"),
        ("plugin", "threshold", 0.9),
        ("delivery", "parallel", 1),
        ("audit", "to", "none"),
        ("web", "port", 105),
    ],
)
def test_what_cannot_change_is_named_and_stays(table: str, key: str, value: Any) -> None:
    taken, waiting = take_over(settings(), settings(**{table: {key: value}}), settings())
    assert taken == settings()
    assert waiting == [f"{table}.{key}"]


@pytest.mark.parametrize(
    ("key", "value"), [("objects", ["report", "key-images"]), ("proof", "storage-commitment")]
)
def test_what_is_made_at_start_for_destinations_is_named(key: str, value: Any) -> None:
    wanted = settings(destination={key: value})
    waiting = [f"destination.{key}"]
    assert take_over(settings(), wanted, settings()) == (wanted, waiting)
    # Until then every reload says so.
    assert take_over(wanted, wanted, settings()) == (wanted, waiting)
    assert take_over(wanted, settings(), wanted) == (settings(), [])


def test_a_part_is_as_live_as_the_whole() -> None:
    current = settings()
    whole = Live(lambda: current)
    part = whole.part(lambda now: now.retention.keep_s)
    assert part.now == 168 * 3600
    current = settings(retention={"keep_h": 1.0})
    assert part.now == 3600
