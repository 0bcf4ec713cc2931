"""Errors of the node. The docstring of each is what it means to a person."""


class NodeError(Exception):
    """Something that a person who runs the node must know; the message names the thing."""


class ConfigError(NodeError):
    """The configuration is wrong; the message names the key, the fault and what is allowed."""


class UnreadableInstance(NodeError):
    """The bytes of an instance cannot be read as a DICOM data set."""


class MismatchedInstance(NodeError):
    """The data set is not the instance that the C-STORE request announced."""


class InvalidUID(NodeError):
    """What stands in the place of a UID is none (PS3.5 9.1), and must not become a path."""


class OversizedInstance(NodeError):
    """The instance, or what it would be decoded, is larger than the configuration allows."""


class OutOfSpace(NodeError):
    """The disk is under its reserve; nothing more can be kept safely."""


class QueueUnavailable(NodeError):
    """The database of the work queue does not answer, so nothing can be promised."""


class UnknownSeries(NodeError):
    """No series of that name was ever received."""


class Busy(NodeError):
    """What is asked for is being done."""


class Useless(NodeError):
    """What is asked for would change nothing, or cannot be done any more."""


class NoAnswer(NodeError):
    """A peer that was asked something does not say."""


class TooManyMatches(NoAnswer):
    """A peer does not say, because there would be too much to say."""


class RetrieveRefused(NodeError):
    """A peer will not send what it was asked for by C-GET or C-MOVE; names its status."""


class UnwantedInstance(NodeError):
    """A peer sends an instance that was not asked for."""


#: Errors that quote the value they could not deal with; it may be a patient's name.
_QUOTING = (AttributeError, LookupError, TypeError, ValueError)


def describe(error: BaseException) -> str:
    """An error for log and status: its kind, and its message unless that may quote data."""
    kind = type(error).__name__
    return kind if isinstance(error, _QUOTING) or not str(error) else f"{kind}: {error}"
