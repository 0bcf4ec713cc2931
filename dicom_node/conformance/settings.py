"""The keys of the configuration with their values; their meaning is that of the shipped file."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from dicom_node.config_tables import Table
from dicom_node.conformance.markdown import section, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.subject import Subject

#: Tables that decide how the node behaves on the network.
_TABLES: Final = ("listener", "completion", "delivery", "proof", "retention", "audit")
_HEADER: Final = re.compile(r"^(?:# )?\[+([a-z_.]+)\]+")
_KEY: Final = re.compile(r"^(?:# )?([a-z_]+) = .*?\s# (.*)$")


def configuration(subject: Subject) -> str:
    """The chapter on configuration."""
    meanings: dict[tuple[str, str], str] = {}
    for key, meaning in _meanings():
        meanings.setdefault(key, meaning)  # of several tables alike the first one explains
    rows = [
        (f"{name}.{key}", value, meanings.get((name, key), ""))
        for name, key, value in _values(subject)
    ]
    return section(
        2,
        "7 Configuration",
        "One file, config.toml, is read at start and when a reload is asked for. AE titles, "
        "addresses and ports of all peers are in it; nothing is found out by itself.",
        table(("Key", "Value", "Meaning"), rows),
    )


def _meanings() -> Iterator[tuple[tuple[str, str], str]]:
    name = ""
    text = (files("dicom_node") / "templates" / "config.toml").read_text(encoding="utf-8")
    for line in text.splitlines():
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            name = header[1]
        elif key:
            yield (name, key[1]), key[2]


def _values(subject: Subject) -> Iterator[tuple[str, str, str]]:
    for name in _TABLES:
        yield from _of_table(name, getattr(subject.settings, name))
    for destination in subject.settings.destination:
        yield from _of_table("destination", destination)


def _of_table(name: str, values: Table) -> Iterator[tuple[str, str, str]]:
    for key, value in values:
        if isinstance(value, Table):
            yield from _of_table(f"{name}.{key}", value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Table):
            for each in value:
                yield from _of_table(f"{name}.{key}", each)
        elif value is not None:
            yield name, key, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "(not shown)"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
