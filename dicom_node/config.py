"""config.toml -> frozen, validated settings. An error names the key."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dicom_node.errors import ConfigError
from plugin import Kind

if TYPE_CHECKING:
    from pathlib import Path

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]
#: PS3.5 Table 6.2-1: at most 16 characters of the default repertoire, no backslash.
AETitle = Annotated[str, Field(pattern=r"^[ -\[\]-~]{0,15}[!-\[\]-~]$")]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Node(_Table):
    """[node]: who this node is and where it keeps what it must not lose."""

    name: Name = "lesionmark"
    state_dir: str = "/var/lib/lesionmark"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    stop_within_s: Seconds = 10.0


class Listener(_Table):
    """[listener]: the Storage and Verification SCP."""

    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AETitle = "LESIONMARK"
    calling_ae_titles: Annotated[tuple[AETitle, ...], Field(min_length=1)]
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 32
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1_048_576)] = 131_072
    idle_timeout_s: Seconds = 60.0
    other_instances: Literal["set-aside", "reject"] = "set-aside"
    disk_reserve_mb: Annotated[int, Field(ge=0)] = 2048

    @field_validator("calling_ae_titles", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class QueryPeer(_Table):
    """[completion.query]: a Query/Retrieve SCP that knows how many instances a series has."""

    host: str
    port: Port
    ae_title: AETitle
    timeout_s: Seconds = 10.0


class Completion(_Table):
    """[completion]: when a series is whole."""

    quiet_period_s: Seconds = 10.0
    cap_s: Seconds = 900.0
    query: QueryPeer | None = None


class PluginTable(_Table):
    """[plugin]: which plugin analyses, and its own keys."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    module: str = "plugin.analysis"


class Delivery(_Table):
    """[delivery]: how often and how long a destination is tried."""

    first_retry_s: Seconds = 10.0
    longest_retry_s: Seconds = 900.0
    give_up_after_h: Annotated[float, Field(gt=0)] = 72.0
    timeout_s: Seconds = 30.0
    parallel: Annotated[int, Field(ge=1, le=64)] = 4


class Destination(_Table):
    """[[destination]]: one Storage SCP that gets every report."""

    name: Name
    host: str
    port: Port
    ae_title: AETitle
    objects: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.REPORT,)

    @field_validator("objects", mode="before")
    @classmethod
    def _kinds(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        names = [kind.value for kind in Kind]
        for name in value:
            if name not in names:
                raise ValueError(f"{name!r} is none of {', '.join(names)}")
        return tuple(Kind(name) for name in value)


class Retention(_Table):
    """[retention]: how long pixels stay after every destination has confirmed."""

    keep_h: Annotated[float, Field(ge=0)] = 168.0


class Settings(_Table):
    """The whole of config.toml."""

    node: Node = Node()
    listener: Listener
    completion: Completion = Completion()
    plugin: PluginTable = PluginTable()
    delivery: Delivery = Delivery()
    retention: Retention = Retention()
    destination: Annotated[tuple[Destination, ...], Field(min_length=1)]

    @field_validator("destination", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("destination")
    @classmethod
    def _names_differ(cls, value: tuple[Destination, ...]) -> tuple[Destination, ...]:
        for name, count in Counter(peer.name for peer in value).items():
            if count > 1:
                raise ValueError(f"the name {name!r} is used {count} times; names must differ")
        return value


def load(path: Path) -> Settings:
    """Read and check a configuration file.

    Raises ConfigError with one line for each fault: the key, what is wrong, what is allowed.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(text: str) -> Settings:
    """Check the text of a configuration file. Raises ConfigError as `load` does."""
    try:
        return Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(dict(e)) for e in error.errors())) from error


def _sentence(error: dict[str, Any]) -> str:
    key = re.sub(r"\.(\d+)", lambda m: f"[{int(m[1]) + 1}]", ".".join(map(str, error["loc"])))
    fault = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: is missing"
    if error["type"] == "extra_forbidden":
        return f"{key}: there is no such key"
    given = "" if isinstance(error["input"], dict) else f" (it is {error['input']!r})"
    return f"{key}: {fault}{given}"
