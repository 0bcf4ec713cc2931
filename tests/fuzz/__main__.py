"""`python -m tests.fuzz --minutes 10`: fuzz for long, and watch memory, threads and files."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

from tests.fuzz.rounds import read, talk
from tests.fuzz.target import Size, Target

_EXAMPLES = 200
#: Rounds before growth is measured: caches fill.
_WARM_UP = 5
#: How much more memory the listener may hold at the end than after the warm-up, bytes.
_GROWTH = 20 << 20


def main() -> int:
    """Run rounds of new seeds until the time is over; returns the exit status."""
    parser = ArgumentParser("python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, Target(Path(folder)) as target:
        return _run(target, arguments.seed, time.monotonic() + 60 * arguments.minutes)


def _run(target: Target, first: int, deadline: float) -> int:
    number, base = first, target.size()
    while time.monotonic() < deadline:
        talk(target, number, _EXAMPLES)
        read(number, _EXAMPLES)
        number += 1
        if number - first == _WARM_UP:
            base = target.size()
        if (number - first) % 10 == 0:
            _report(number - first, target.size())
    last = target.size()
    _report(number - first, last)
    grown = last.memory - base.memory
    print(f"first seed {first}; memory grown by {grown / 2**20:.1f} MiB after the warm-up")
    return int(grown > _GROWTH or last.files > base.files + 5 or last.threads > base.threads + 5)


def _report(rounds: int, size: Size) -> None:
    print(
        f"{rounds * _EXAMPLES} conversations and as many data sets: "
        f"{size.memory / 2**20:.1f} MiB, {size.threads} threads, {size.files} files",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
