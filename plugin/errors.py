"""Errors of the plugin. The docstring of each is what it means to a person."""


class PluginError(Exception):
    """Something in the plugin went wrong."""


class WrongSetting(PluginError):
    """A key of [plugin] is unknown or its value wrong; the message names key and choice."""


class UnsuitableSeries(PluginError):
    """The series can never be analysed; the message says why. Not worth a retry."""


class InvalidReport(PluginError):
    """A report breaks one of our own rules; the message names the item."""
