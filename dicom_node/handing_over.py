"""Subcommands that are packages of their own, with their own arguments; imported only when run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from argparse import Namespace


def train(arguments: Namespace) -> int:
    """Train a detector."""
    return _hand_over("plugin.training", arguments.rest)


def evaluate(arguments: Namespace) -> int:
    """Judge the detector on marked scans."""
    return _hand_over("plugin.evaluation", arguments.rest)


def compare(arguments: Namespace) -> int:
    """Compare the AI's bookmarks with radiologists'."""
    return _hand_over("plugin.evaluation.comparison", arguments.rest)


def explore(arguments: Namespace) -> int:
    """Draw what a data set holds."""
    return _hand_over("plugin.evaluation.atlas", arguments.rest)


def _hand_over(package: str, argv: list[str]) -> int:
    """Run the command line of a package that is no part of the node."""
    try:
        module = import_module(f"{package}.__main__")
    except ModuleNotFoundError as error:
        raise NodeError(
            f"{error.name} is not installed: pip install 'lesionmark[training]'"
        ) from error
    status: int = module.main(argv)
    return status
