"""The arguments of `lesionmark harvest`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_arguments(parser: ArgumentParser) -> None:
    """Where from, what, and where to."""
    parser.add_argument("target", type=Path, help="folder of the data set, new or begun")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", type=Path, metavar="F", help="from DICOM files below a folder")
    source.add_argument("--node", action="store_true", help="from what has come to this node")
    source.add_argument("--pacs", action="store_true", help="from the archive of [harvest.peer]")
    _add_selection(parser)
    parser.add_argument("--by", choices=["get", "move"], help="default: harvest.by")
    parser.add_argument("--dry-run", action="store_true", help="only look how much there would be")


def _add_selection(parser: ArgumentParser) -> None:
    today = datetime.now(UTC).astimezone().date()
    parser.add_argument(
        "--from", dest="first", type=date.fromisoformat, default=None,
        metavar="DATE", help="first Study Date, as 2024-01-31; an archive must be told",
    )  # fmt: skip
    parser.add_argument(
        "--to", dest="last", type=date.fromisoformat, default=today,
        metavar="DATE", help="last Study Date; default: today",
    )  # fmt: skip
    parser.add_argument(
        "--modality", default="CT", metavar="M", help="of the images; default: %(default)s"
    )
    parser.add_argument(
        "--body-part", default="", metavar="P",
        help="Body Part Examined that the images state, as CHEST; default: any, or none",
    )  # fmt: skip
