"""The example of alert rules and the dashboard: right in themselves, and about our metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.processes import free_port
from tests.conftest import missing
from tests.node import Node
from tests.watch import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROJECT = Path(__file__).parents[2]
_WATCH = _PROJECT / "deploy" / "watch"
#: Only nodes with a GPU have these, and Prometheus itself has the last.
_ELSEWHERE = {"lesionmark_gpu_memory_bytes", "lesionmark_gpu_memory_used_bytes", "up"}
_METRIC = re.compile(r"\b(?:lesionmark_[a-z_]+|process_[a-z_]+|up)\b(?=[{\[\s)]|$)")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each sample of a real scrape."""
    port = free_port()
    node = Node(tmp_path_factory.mktemp("node"), [("pacs", "NOBODY", 1)], web={"port": port})
    found: dict[str, set[str]] = {}
    with node:
        for metric in Monitor(port).metrics().values():
            found.setdefault(metric.name + "_total" * (metric.type == "counter"), set())
            for one in metric.samples:
                found.setdefault(one.name, set()).update(one.labels)
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((_WATCH / "alerts.yml").read_text())["groups"]:
        yield from group["rules"]


def dashboard() -> Iterator[str]:
    for panel in json.loads((_WATCH / "grafana.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        missing("promtool")
    done = subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_comes_when_it_should_and_only_then() -> None:
    promtool("test", "rules", _PROJECT / "tests/acceptance/alerts/cases.yml")


def test_every_alert_is_tried_in_both_ways() -> None:
    cases = yaml.safe_load((_PROJECT / "tests/acceptance/alerts/cases.yml").read_text())
    tried = {
        (case["alertname"], bool(case["exp_alerts"]))
        for test in cases["tests"]
        for case in test["alert_rule_test"]
    }
    assert tried == {(rule["alert"], comes) for rule in rules() for comes in (True, False)}


def test_every_expression_asks_for_metrics_that_a_node_has(samples: dict[str, set[str]]) -> None:
    expressions = [*(rule["expr"] for rule in rules()), *dashboard()]
    asked = {name for expression in expressions for name in _METRIC.findall(expression)}
    assert len(expressions) > 35
    assert len(asked) > 20
    histograms = {name.rsplit("_", 1)[0] for name in samples if name.endswith("_bucket")}
    assert len(histograms) >= 1
    known = {*samples, *_ELSEWHERE}
    assert {name for name in asked if name not in known and not _is_part(name, samples)} == set()


def _is_part(name: str, samples: dict[str, set[str]]) -> bool:
    """Whether it is a sample of a histogram that has counted nothing yet."""
    base, _, part = name.rpartition("_")
    return part in ("bucket", "count", "sum") and base in samples


def test_the_dashboard_is_valid_promql(tmp_path: Path) -> None:
    """Prometheus itself reads every expression, with Grafana's variables filled in."""
    rules = [
        {"record": f"panel:{number}", "expr": _filled(expression)}
        for number, expression in enumerate(dashboard())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", file)


def _filled(expression: str) -> str:
    return expression.replace("$__rate_interval", "5m").replace("$instance", ".*")


def test_every_metric_and_every_alert_is_explained(samples: dict[str, set[str]]) -> None:
    text = (_PROJECT / "docs" / "monitoring.md").read_text()
    ours = {name for name in samples if name.startswith("lesionmark_")} | _ELSEWHERE - {"up"}
    parts = re.compile(r"_(bucket|count|sum)$")
    named = {parts.sub("", name) for name in ours} | {rule["alert"] for rule in rules()}
    assert {name for name in named if f"`{name}`" not in text} == set()
