"""Runs every benchmark, prints what it finds and writes docs/benchmarks.md.

python -m benchmarks                       # all of them, about six minutes
python -m benchmarks receive handler       # only these, and only to the screen
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown

from benchmarks import handler, memory, page, receive, results, scan, turnaround, workers
from benchmarks.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable

_BENCHMARKS: dict[str, Callable[[Path], Result]] = {
    "receive": lambda folder: receive.measure(folder, rounds=3),
    "handler": handler.measure,
    "turnaround": turnaround.measure,
    "workers": workers.measure,
    "memory": memory.measure,
    "page": page.measure,
    "scan": scan.measure,
    "detector": lambda _: _detector(),
}

out = Console(width=110)


def main() -> None:
    """Run what the command line names, or everything."""
    parser = ArgumentParser(
        "benchmarks", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_BENCHMARKS))
    wanted = parser.parse_args().names
    for name in wanted:
        if name not in _BENCHMARKS:
            parser.error(f"{name!r} is none of {', '.join(_BENCHMARKS)}")
    load = results.load_average()
    found = [_run(name) for name in wanted or _BENCHMARKS]
    if not wanted:
        results.write(found, "make bench", load)


def _run(name: str) -> Result:
    # Not in the temporary folder of the system, which may be in memory: fsync is what counts.
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as scratch:
        result = _BENCHMARKS[name](Path(scratch).resolve() / name)
    out.print(Markdown(result.as_markdown()))
    return result


def _detector() -> Result:
    """The detector measures itself, in a process of its own so that its peak is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.detector", "--alone", "--repeat", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Result("The detector", "```text\n" + done.stdout.strip() + "\n```", (), ())


if __name__ == "__main__":
    main()
