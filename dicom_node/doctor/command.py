"""The subcommand: prints one line for each check, and what to do about those that fail."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console

from dicom_node.doctor.check import Result
from dicom_node.doctor.checkup import checks

if TYPE_CHECKING:
    from argparse import Namespace

    from dicom_node.doctor.check import Check

_OK, _FAILED = 0, 1
#: Widths of the first two columns.
_RESULT, _NAME = 8, 30
_STYLES: Final = {Result.OK: "green", Result.FAILED: "bold red", Result.SKIPPED: "dim"}


def doctor(arguments: Namespace) -> int:
    """Check an installation; 0 when no check fails."""
    out, err = (
        Console(stderr=to_stderr, markup=False, highlight=False, soft_wrap=True)
        for to_stderr in (False, True)
    )
    found = []
    for check in checks(
        arguments.config,
        lambda: datetime.now(UTC).astimezone(),
        lambda line: err.print(f"         {line}", style="dim"),
        with_loop=not arguments.no_loop,
    ):
        found.append(check)
        if not arguments.json:
            _print(out, check)
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(check) for check in found], indent=1) + "\n")
    else:
        out.print(_summary(found))
    return _FAILED if any(check.result is Result.FAILED for check in found) else _OK


def _print(out: Console, check: Check) -> None:
    out.print(f"{check.result:<{_RESULT}}", style=_STYLES[check.result], end="")
    out.print(f" {check.name:<{_NAME}} {check.seen}")
    if check.advice:
        out.print(f"{'':<{_RESULT}} {'':<{_NAME}} -> {check.advice}", style="bold")


def _summary(found: list[Check]) -> str:
    counts = [f"{sum(check.result is each for check in found)} {each}" for each in Result]
    return ", ".join(counts)
