"""The fuzzer's seeds; `python -m tests.fuzz --minutes 10` goes on for longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.rounds import read, talk
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from pathlib import Path

_SEEDS = (20000, 20001)


@pytest.mark.parametrize("seed", _SEEDS)
def test_no_data_set_is_more_than_a_named_error(seed: int) -> None:
    read(seed, examples=100)


def test_no_conversation_keeps_the_listener_from_answering(tmp_path: Path) -> None:
    with Target(tmp_path) as target:
        for seed in _SEEDS:
            talk(target, seed, examples=25)
        size = target.size()
        talk(target, _SEEDS[0], examples=25)
        assert target.size().files <= size.files + 2
