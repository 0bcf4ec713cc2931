"""`python -m plugin.evaluation`: judge the shipped detector on a folder of marked scans."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from plugin.detector import load
from plugin.evaluation.cases import held_out_patches, lesion_free_series, marked_series
from plugin.evaluation.froc import curve
from plugin.evaluation.judge import Verdict, judge
from plugin.evaluation.summary import summarise
from plugin.evaluation.tables import rank_lines, summary_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plugin.detector import Detector
    from plugin.evaluation.cases import Case


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate, print, draw; returns the exit status."""
    arguments = _parser().parse_args(argv)
    detector = load()
    marked = _judge_all(detector, _marked(arguments), "scans with lesions")
    free = _judge_all(detector, lesion_free_series(arguments.negatives), "lesion-free scans")
    negatives = [verdict.scan for verdict in (free or marked)]
    summary = summarise(detector.version, marked, negatives)
    lines = chain(summary_lines(summary), _ranks(arguments, marked))
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(summary.to_record(), indent=2), encoding="utf-8")
    if arguments.plots:
        _draw(arguments.plots, detector, marked, free)
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m plugin.evaluation", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--protocol",
        choices=("patches", "luna16"),
        default="patches",
        help="patches: sensitivity on held-out nodule patches; luna16: on whole marked series",
    )
    parser.add_argument(
        "--negatives",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a lesion-free series; false positives are counted on these scans, where given",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the curves as PNG")
    return parser


def _marked(arguments: Namespace) -> Iterable[Case]:
    if arguments.protocol == "patches":
        return held_out_patches(arguments.data / "nodules")
    return marked_series(arguments.data)


def _judge_all(detector: Detector, cases: Iterable[Case], title: str) -> list[Verdict]:
    return [judge(detector, case) for case in track(cases, title, transient=True)]


def _ranks(arguments: Namespace, verdicts: Iterable[Verdict]) -> Iterable[str]:
    if arguments.protocol == "patches":
        return ()
    return chain([""], rank_lines(chain.from_iterable(v.meetings for v in verdicts)))


def _draw(
    folder: Path, detector: Detector, marked: Sequence[Verdict], free: Sequence[Verdict]
) -> None:
    from plugin.evaluation.plots import draw_bland_altman, draw_froc

    folder.mkdir(parents=True, exist_ok=True)
    scans = [verdict.scan for verdict in marked]
    negatives = [verdict.scan for verdict in (free or marked)]
    draw_froc(folder / "froc.png", {detector.version: curve(scans, negatives)})
    meetings = [meeting for verdict in marked for meeting in verdict.meetings]
    draw_bland_altman(folder / "long_axis.png", meetings)


if __name__ == "__main__":
    sys.exit(main())
