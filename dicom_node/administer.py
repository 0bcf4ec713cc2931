"""Subcommands of whoever looks after the machine; each returns the exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node import service_unit
from dicom_node.commands import OK, out

if TYPE_CHECKING:
    from argparse import Namespace

_NEXT = """\
Next: set who may send and where reports go in {config}, then
  lesionmark check-config
  systemctl start lesionmark"""


def install(arguments: Namespace) -> int:
    """Make a systemd service of this installation."""
    places = service_unit.Places(arguments.root)
    _print(service_unit.install(places))
    out.print(_NEXT.format(config=places.config), soft_wrap=True, highlight=False)
    return OK


def uninstall(arguments: Namespace) -> int:
    """Remove the systemd service; data and configuration stay."""
    places = service_unit.Places(arguments.root)
    _print(service_unit.uninstall(places))
    out.print(f"kept {places.config.parent} and the state folder", soft_wrap=True, highlight=False)
    return OK


def _print(lines: list[str]) -> None:
    for line in lines:
        out.print(line, soft_wrap=True, highlight=False)
