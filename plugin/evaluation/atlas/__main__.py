"""Draw what a data set of bookmarks holds: `lesionmark explore`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from plugin.errors import PluginError
from plugin.evaluation.atlas.lesions import read_lesions

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FAILED = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Read, count, draw; returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if find_spec("matplotlib") is None:
        parser.error("this needs matplotlib: pip install 'lesionmark[training]'")
    from plugin.evaluation.atlas.page import summary, write

    try:
        lesions = read_lesions(arguments.dataset)
        paths = write(arguments.output, arguments.dataset.name, lesions, arguments.pictures)
    except (PluginError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return FAILED
    for path in paths:
        sys.stderr.write(f"{path}\n")
    for figure, value in summary(lesions):
        sys.stdout.write(f"{figure}: {value}\n")
    return OK


def _parser() -> ArgumentParser:
    parser = ArgumentParser("lesionmark explore", description=__doc__)
    parser.add_argument(
        "dataset",
        type=Path,
        metavar="DATASET",
        help="DL_info.csv, a folder with Images_png and such a table (DeepLesion's or a harvested "
        "one), or a folder with lesions.json",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("atlas"),
        metavar="FOLDER",
        help="for the pictures and index.html; default: %(default)s",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=60,
        metavar="N",
        help="key slices to show, from all over the data set; default: %(default)s",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
