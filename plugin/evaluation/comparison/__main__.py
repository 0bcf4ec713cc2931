"""Compare the AI's bookmarks with radiologists' of the same series: `lesionmark compare`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from plugin.datasets.errors import InvalidDataset
from plugin.errors import PluginError
from plugin.evaluation.comparison.match import pairs
from plugin.evaluation.comparison.sources import Source, analysed, find_series, read_source
from plugin.report import AuthorKind

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from plugin.evaluation.comparison.sources import Scans
    from plugin.volume import Volume

OK, FAILED = 0, 1
#: Bookmarks of the other side are no part of a side; those that name no author are.
AI_AUTHORS = frozenset({AuthorKind.DEVICE, AuthorKind.UNKNOWN})
RADIOLOGIST_AUTHORS = frozenset({AuthorKind.PERSON, AuthorKind.UNKNOWN})


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, print, draw; returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if find_spec("matplotlib") is None:
        parser.error("this needs matplotlib: pip install 'lesionmark[training]'")
    if len(arguments.sources) > 2 or (len(arguments.sources) == 1 and not arguments.series):
        parser.error("give AI_SOURCE and RADIOLOGIST_SOURCE, or --series and RADIOLOGIST_SOURCE")
    try:
        _compare(arguments)
    except (PluginError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return FAILED
    return OK


def _parser() -> ArgumentParser:
    parser = ArgumentParser("lesionmark compare", description=__doc__)
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="AI_SOURCE RADIOLOGIST_SOURCE, each a file or folder: DICOM bookmark objects, "
        "bookmarks as JSON, lesions.json, DL_info.csv; with --series, RADIOLOGIST_SOURCE alone "
        "has the series analysed",
    )
    parser.add_argument(
        "--series",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="the CT images, where they do not lie in a source; may be given several times",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("comparison"),
        metavar="FOLDER",
        help="for lesions.csv, the plots and index.html; default: %(default)s",
    )
    return parser


def _compare(arguments: Namespace) -> None:
    from plugin.evaluation.comparison.page import Comparison, summary, write  # needs matplotlib

    scans = find_series([*arguments.series, *filter(Path.is_dir, arguments.sources)])
    ai, name = _ai(arguments, scans)
    theirs = read_source(arguments.sources[-1], RADIOLOGIST_AUTHORS, scans)
    remarks = [*ai.remarks, *theirs.remarks]
    if not theirs.lesions:
        why = "; ".join(remarks) or "there are no images of what radiologists marked"
        raise InvalidDataset(f"{arguments.sources[-1]}: nothing to compare: {why}")
    remarks += [
        f"{scan} was not marked by radiologists"
        for scan in ai.lesions.keys() - theirs.lesions.keys()
    ]
    found = [
        p
        for scan, marked in theirs.lesions.items()
        for p in pairs(scan, marked, ai.lesions.get(scan, []))
    ]
    told = Comparison(name, arguments.sources[-1].name, found, remarks)

    def volume_of(scan: str) -> Volume | None:
        return scans.volume(scan) if scan in scans.files else theirs.volume(scan)

    for path in write(arguments.output, told, volume_of):
        sys.stderr.write(f"{path}\n")
    for figure, value in summary(told):
        sys.stdout.write(f"{figure}: {value}\n")


def _ai(arguments: Namespace, scans: Scans) -> tuple[Source, str]:
    """The AI's side, and its name."""
    if len(arguments.sources) == 2:
        path, theirs = arguments.sources
        # Of one folder for both sides, what names no author is on one side only.
        authors = AI_AUTHORS - RADIOLOGIST_AUTHORS if path == theirs else AI_AUTHORS
        return read_source(path, authors, scans), path.name
    from plugin.detector import load  # needs torch

    detector = load()
    return analysed(detector, scans), detector.version


if __name__ == "__main__":
    sys.exit(main())
