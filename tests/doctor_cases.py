"""`lesionmark doctor` as a person runs it, and what it said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node import cli
from dicom_node.doctor.check import Check, Result
from tests.node import SENDER

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

#: Those who may send to a node that doctor is to try.
SENDERS = [{"ae_title": SENDER}, {"ae_title": "LMDOCTOR"}]


@dataclass(frozen=True)
class Said:
    """What doctor found."""

    status: int
    checks: dict[str, Check]

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [name for name, check in self.checks.items() if check.result is Result.FAILED]


def ask(capsys: pytest.CaptureFixture[str], config: Path, *options: str) -> Said:
    """Run the command in this process."""
    capsys.readouterr()
    status = cli.main(["--config", str(config), "doctor", "--json", *options])
    records = json.loads(capsys.readouterr().out)
    found = [Check(**record | {"result": Result(record["result"])}) for record in records]
    return Said(status, {check.name: check for check in found})
