"""Which release of the program runs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """The version that is installed, or that none is."""
    try:
        return version("lesionmark")
    except PackageNotFoundError:
        return "not installed, run from its source"
