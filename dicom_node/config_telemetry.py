"""The table [telemetry] of config.toml."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import field_validator

from dicom_node.config_tables import Table


class Telemetry(Table):
    """[telemetry]: where traces of the walk of every series go (OpenTelemetry)."""

    traces: str = ""

    @field_validator("traces")
    @classmethod
    def _is_url(cls, value: str) -> str:
        url = urlsplit(value)
        if value and not (url.scheme in ("http", "https") and url.hostname):
            raise ValueError('must be an address such as "http://127.0.0.1:4318/v1/traces"')
        return value
