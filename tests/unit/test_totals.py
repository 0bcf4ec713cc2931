"""What several processes count together."""

from __future__ import annotations

import json

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dicom_node import meters
from dicom_node.totals import Totals, report

BYTES = ("lesionmark_received_bytes", "lesionmark_received_bytes_total", [])
OPEN = ("lesionmark_associations_open", "lesionmark_associations_open", [])
LAST = ("lesionmark_last_instance_timestamp_seconds",) * 2 + ([],)
SENT = (
    "lesionmark_deliveries",
    "lesionmark_deliveries_total",
    [["destination", "other"], ["state", "delivered"]],
)


def line(*samples: tuple[tuple[str, str, list[list[str]]], float]) -> str:
    return json.dumps([[*names, value] for names, value in samples])


def scrape(totals: Totals) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(totals)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        f"{one.name}{one.labels or ''}": one.value for family in families for one in family.samples
    }


def test_counts_are_added_up_and_of_moments_the_newest_counts() -> None:
    totals = Totals()
    before = scrape(totals)
    totals.hear(1, line((BYTES, 5.0), (OPEN, 2.0), (LAST, 4e9), (SENT, 3.0)))
    totals.hear(2, line((BYTES, 7.0), (OPEN, 1.0), (LAST, 3e9)))
    after = scrape(totals)
    assert (
        after["lesionmark_received_bytes_total"] - before["lesionmark_received_bytes_total"] == 12
    )
    assert after["lesionmark_associations_open"] == 3
    assert after["lesionmark_last_instance_timestamp_seconds"] == 4e9
    of_other = str({"destination": "other", "state": "delivered"})
    assert after[f"lesionmark_deliveries_total{of_other}"] == 3


def test_a_newer_report_replaces_the_one_before() -> None:
    totals = Totals()
    own = scrape(totals)["lesionmark_received_bytes_total"]
    totals.hear(1, line((BYTES, 5.0)))
    totals.hear(1, line((BYTES, 6.0)))
    assert scrape(totals)["lesionmark_received_bytes_total"] - own == 6


def test_what_a_process_has_counted_outlives_it_but_nothing_is_open_in_it() -> None:
    totals = Totals()
    own = scrape(totals)["lesionmark_received_bytes_total"]
    for pid in (1, 2):
        totals.hear(pid, line((BYTES, 5.0), (OPEN, 2.0), (LAST, 4e9)))
        totals.end(pid)
    after = scrape(totals)
    assert after["lesionmark_received_bytes_total"] - own == 10
    assert after["lesionmark_associations_open"] == 0
    assert after["lesionmark_last_instance_timestamp_seconds"] == 4e9


def test_words_that_are_no_report_change_nothing() -> None:
    totals = Totals()
    before = scrape(totals)
    for words in ("", "ready\n", "{}", "[1]", '[["a", "b", 1]]'):
        totals.hear(1, words)
    assert scrape(totals) == before


def test_a_report_of_this_process_counts_as_one_of_another() -> None:
    meters.RECEIVED_BYTES.inc(11)
    totals = Totals()
    own = scrape(totals)
    totals.hear(1, report())
    doubled = scrape(totals)
    assert doubled["lesionmark_received_bytes_total"] == 2 * own["lesionmark_received_bytes_total"]
    assert doubled.keys() == own.keys()
