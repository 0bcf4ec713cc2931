"""What a monitor sees of a node: its metrics and its health."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

from deploy.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import Metric


class Monitor:
    """Asks the page of one node."""

    def __init__(self, port: int) -> None:
        self.port = port

    def text(self) -> str:
        """One scrape."""
        with urlopen(Request(f"http://{LOOPBACK}:{self.port}/metrics"), timeout=20) as answer:
            return str(answer.read().decode())

    def metrics(self) -> dict[str, Metric]:
        """One scrape by the names of the metrics."""
        return {metric.name: metric for metric in text_string_to_metric_families(self.text())}

    def value(self, sample: str, **labels: str) -> float:
        """The sum of all samples of that name that have those labels."""
        found = [
            one.value
            for metric in self.metrics().values()
            for one in metric.samples
            if one.name == sample and labels.items() <= one.labels.items()
        ]
        return sum(found)

    def health(self, which: str) -> tuple[int, Mapping[str, str]]:
        """The status of /health/live or /health/ready, and the words of each check."""
        try:
            with urlopen(f"http://{LOOPBACK}:{self.port}/health/{which}", timeout=20) as answer:
                status, body = answer.status, answer.read()
        except HTTPError as error:
            with error:
                status, body = error.code, error.read()
        content = json.loads(body)
        assert (content["status"] == "ok") is (status == 200)
        return status, content["checks"]
