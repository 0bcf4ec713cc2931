"""Traces go by OTLP to whoever is configured, and only where they are wanted."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.processes import LOOPBACK
from dicom_node import telemetry
from dicom_node.errors import ConfigError
from tests.integration.test_discretion import assert_discreet, secret_series
from tests.node import Node
from tests.unit.test_live import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.pacs import ScriptedPacs


class Collector:
    """Takes traces as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.server.server_port}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_every_step_of_a_series_is_a_span_without_a_word_about_the_patient(
    tmp_path: Path, scripted: ScriptedPacs, collector: Collector
) -> None:
    scripted.start()
    to = [("pacs", scripted.ae_title, scripted.port)]
    series = secret_series(tmp_path / "ct", 4)
    with Node(tmp_path / "node", to, telemetry={"traces": collector.url}) as node:
        node.send(series.paths)
        node.wait_for(series, "delivered")
        # Well before the libraries would send by themselves.
        node.process.stop()
    spans = {span.name: span for span in collector.spans()}
    assert {"settle", "look", "analyse", "deliver", "send"} <= spans.keys()
    of_send = {one.key: one.value.string_value for one in spans["send"].attributes}
    assert series.series_uid in of_send["dbos.operation.workflow_id"]
    assert of_send["service.instance.id"] == "lesionmark"
    assert spans["send"].parent_span_id == spans["deliver"].span_id
    assert_discreet(str(collector.requests))


def test_wanted_but_not_installed_is_said_by_the_name_of_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telemetry, "find_spec", lambda _: None)
    telemetry.check(settings())
    with pytest.raises(ConfigError, match=r"^telemetry.traces: .*lesionmark\[telemetry\]"):
        telemetry.check(settings(telemetry={"traces": "http://127.0.0.1:4318/v1/traces"}))


def test_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.traces: must be an address"):
        settings(telemetry={"traces": "collector"})
