"""Errors of harvested data sets."""

from plugin.datasets.errors import InvalidDataset


class WrongSecret(InvalidDataset):
    """The data set was begun with another secret: its patients would get other parts and UIDs."""
