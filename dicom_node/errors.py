"""Errors of the node. The docstring of each is what it means to a person."""


class NodeError(Exception):
    """Something that a person who runs the node must know; the message names the thing."""


class ConfigError(NodeError):
    """The configuration is wrong; the message names the key, the fault and what is allowed."""


class UnreadableInstance(NodeError):
    """The bytes of an instance cannot be read as a DICOM data set."""


class MismatchedInstance(NodeError):
    """The data set is not the instance that the C-STORE request announced."""


class OutOfSpace(NodeError):
    """The disk is under its reserve; nothing more can be kept safely."""


class QueueUnavailable(NodeError):
    """The database of the work queue does not answer, so nothing can be promised."""


class UnknownSeries(NodeError):
    """No series of that name was ever received."""
