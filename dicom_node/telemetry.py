"""Traces of the durable steps by OpenTelemetry, which dbos makes where it is told to."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from dbos import DBOSConfig

    from dicom_node.config import Settings

#: What the extra `telemetry` installs, parents first.
_NEEDED: Final = (
    "opentelemetry",
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "opentelemetry.exporter.otlp",
    "opentelemetry.exporter.otlp.proto",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation",
    "opentelemetry.instrumentation.logging",
)


def check(settings: Settings) -> None:
    """Raise ConfigError when traces are wanted and cannot be made."""
    if settings.telemetry.traces and not all(find_spec(name) for name in _NEEDED):
        raise ConfigError(
            "telemetry.traces: OpenTelemetry is not installed: pip install 'lesionmark[telemetry]'"
        )


def options(settings: Settings) -> DBOSConfig:
    """What dbos has to know of it."""
    if not settings.telemetry.traces:
        return {}
    return {
        "enable_otlp": True,
        "otlp_traces_endpoints": [settings.telemetry.traces],
        "otlp_attributes": {"service.instance.id": settings.node.name},
        "otel_attribute_format": "semconv",
    }


def close(settings: Settings) -> None:
    """Send what has not been sent; the process is about to end without a word to libraries."""
    if settings.telemetry.traces:
        import_module("opentelemetry.trace").get_tracer_provider().shutdown()
