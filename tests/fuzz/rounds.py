"""Rounds of the fuzzer; each says by an AssertionError what went wrong."""

from __future__ import annotations

import socket
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings

from deploy.processes import LOOPBACK
from dicom_node.errors import InvalidUID, OversizedInstance, UnreadableInstance
from dicom_node.instance import Sizes, identify
from tests.fuzz.words import CONVERSATIONS, SPOILED_DATA_SETS

if TYPE_CHECKING:
    from pydicom.uid import UID

    from tests.fuzz.target import Target

#: How long a data set of some kilobytes may keep a thread, seconds.
_LONGEST_S = 1.0
_SIZES = Sizes(1 << 20, 16 << 20)


def _rules(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )


def talk(target: Target, number: int, examples: int) -> None:
    """Hold conversations over a socket; the listener must answer C-ECHO after each."""

    @seed(number)
    @_rules(examples)
    @given(CONVERSATIONS)
    def conversation(words: list[bytes]) -> None:
        _say(target.port, words)
        target.process.require_running()

    conversation()
    assert target.answers(), f"no answer to C-ECHO after round {number}"


def read(number: int, examples: int) -> None:
    """Identify spoiled data sets; only the named errors may come of it, and soon."""

    @seed(number)
    @_rules(examples)
    @given(SPOILED_DATA_SETS)
    def data_set(spoiled: tuple[bytes, UID]) -> None:
        began = time.monotonic()
        with suppress(InvalidUID, OversizedInstance, UnreadableInstance):
            identify([spoiled[0]], spoiled[1], _SIZES)
        assert time.monotonic() - began < _LONGEST_S

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set()


def _say(port: int, words: list[bytes]) -> None:
    """Say it all, hear whatever comes of it, and hang up. Raises TimeoutError on silence."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        try:
            for word in words:
                connection.sendall(word)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass  # it hung up first, which it may
