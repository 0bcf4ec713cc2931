"""The subcommand: writes the conformance statement of a configuration."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dicom_node import config
from dicom_node.conformance.statement import statement
from dicom_node.release import release

if TYPE_CHECKING:
    from argparse import Namespace


def conformance(arguments: Namespace) -> int:
    """Write it to a file, or to standard output."""
    text = statement(config.load(arguments.config), release())
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        arguments.output.write_text(text, encoding="utf-8")
    return 0
