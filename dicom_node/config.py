"""config.toml -> frozen, validated settings. An error names the key."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, field_validator

from dicom_node.config_doctor import Doctor
from dicom_node.config_faults import sentences
from dicom_node.config_harvest import Harvest
from dicom_node.config_tables import (
    Audit,
    Completion,
    Delivery,
    Destination,
    Listener,
    Node,
    PluginTable,
    Proof,
    Retention,
    Table,
)
from dicom_node.config_telemetry import Telemetry
from dicom_node.config_web import Web
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class Settings(Table):
    """The whole of config.toml."""

    node: Node = Node()
    listener: Listener
    completion: Completion = Completion()
    plugin: PluginTable = PluginTable()
    delivery: Delivery = Delivery()
    proof: Proof = Proof()
    retention: Retention = Retention()
    audit: Audit = Audit()
    web: Web = Web()
    telemetry: Telemetry = Telemetry()
    doctor: Doctor = Doctor()
    harvest: Harvest = Harvest()
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

    def destination_named(self, name: str) -> Destination | None:
        """The destination of that name, if it is there."""
        return next((each for each in self.destination if each.name == name), None)


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
        raise ConfigError("\n".join(sentences(error))) from error
