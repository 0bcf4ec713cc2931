"""Errors of data sets. The docstring of each is what it means to a person."""

from __future__ import annotations

from plugin.errors import PluginError


class InvalidDataset(PluginError):
    """A data set is not what it should be; the message names the folder, file, row or column."""
