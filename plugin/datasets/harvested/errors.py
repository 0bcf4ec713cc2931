"""Errors of harvested data sets."""

from plugin.datasets.errors import InvalidDataset
from plugin.errors import PluginError


class WrongSecret(InvalidDataset):
    """The data set was begun with another secret: its patients would get other parts and UIDs."""


class Unwritable(PluginError):
    """The data set cannot be written now: its disk is full, or broken."""
