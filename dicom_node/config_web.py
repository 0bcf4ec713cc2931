"""The table [web] of config.toml."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, field_validator

from dicom_node import secret
from dicom_node.config_tables import Table

if TYPE_CHECKING:
    from pydantic import ValidationInfo

#: A shorter token could be guessed.
LEAST_TOKEN: Final = 16
#: A host's name as a browser sends it, without the port.
HostName = Annotated[str, Field(pattern=r"^[a-z0-9.:\[\]-]{1,255}$")]


class Web(Table):
    """[web]: the status page, the metrics and the health checks."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8104
    token: Annotated[SecretStr, Field(validate_default=True)] = SecretStr("")
    names: tuple[HostName, ...] = ()
    patient_names: Literal["on-request", "never"] = "on-request"

    @field_validator("names", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("token")
    @classmethod
    def _guarded(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        text, host = value.get_secret_value(), info.data.get("host", "")
        if not text and info.data.get("port") and not is_loopback(host):
            raise ValueError(f"must be set, because web.host is {host!r} and not the loopback")
        if text and not text.startswith(secret.ELSEWHERE) and len(text) < LEAST_TOKEN:
            raise ValueError(f"must have {LEAST_TOKEN} characters at least")
        return value


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
