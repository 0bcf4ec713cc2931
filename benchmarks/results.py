"""What a benchmark found, for the screen, for programs and for docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_RECORD = Path(__file__).parent.parent / "build" / "benchmarks.json"

_HEAD = """\
# Benchmarks

Written by `{command}`, on {when}. Run it again to see your own machine's figures.

Machine: {machine}. Load when it began: {load}.
Software: {software}.

Times are medians, with the fastest and the slowest run behind them. Everything that is compared
took turns on the same machine in the same run, so the ratios carry over to other machines
better than the times do.
"""


@dataclass(frozen=True)
class Result:
    """One table, with what must be known to read it."""

    #: Heading.
    title: str
    #: What was done, in sentences.
    how: str
    #: Heads of the columns.
    columns: tuple[str, ...]
    #: One tuple of cells for each row, as they are shown.
    rows: tuple[tuple[str, ...], ...]
    #: What it comes to, one sentence each.
    findings: tuple[str, ...] = ()
    #: The numbers themselves, for programs.
    numbers: dict[str, float] = field(default_factory=dict)

    def as_markdown(self) -> str:
        """A section of a document."""
        lines = [f"## {self.title}", "", self.how, ""]
        if self.rows:
            lines += [_row(self.columns), _row("---" for _ in self.columns)]
            lines += [*map(_row, self.rows), ""]
        lines += [f"- {finding}" for finding in self.findings]
        return "\n".join(lines).rstrip() + "\n"


def write(results: list[Result], command: str, load: str) -> None:
    """Write the document and the record of a whole run."""
    head = _HEAD.format(
        command=command,
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        machine=machine(),
        load=load,
        software=_software(),
    )
    _DOCUMENT.write_text("\n".join([head, *(result.as_markdown() for result in results)]))
    _RECORD.parent.mkdir(exist_ok=True)
    _RECORD.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def load_average() -> str:
    """How busy the machine is, as `uptime` says it."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def machine() -> str:
    """Processor, cores, memory and kernel."""
    info = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    name = names[0] if names else platform.machine()
    kernel = platform.release().partition("-")[0]
    return f"{os.cpu_count()} cores ({name}), {memory} GiB, Linux {kernel}"


def _software() -> str:
    packages = ("pydicom", "pynetdicom", "dbos", "torch")
    parts = [f"{name} {version(name)}" for name in packages]
    return ", ".join([f"Python {platform.python_version()}", *parts])


def _row(cells: object) -> str:
    return "| " + " | ".join(cells) + " |"  # type: ignore[arg-type]
