"""A disk that fails while a data set is written: nothing counts as done that is not there."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from plugin.datasets.harvested import Builder
from plugin.datasets.harvested.errors import Unwritable
from tests.harvested_cases import SECRET, build, by_hand, chest, mark, rows, save

if TYPE_CHECKING:
    from pathlib import Path


def test_a_full_disk_leaves_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source, target = chest(tmp_path / "ct"), tmp_path / "set"
    study = [*(tmp_path / "ct").iterdir(), save(by_hand(source, mark(source)), tmp_path)]
    with monkeypatch.context() as patch, Builder(target, SECRET, nifti=False) as builder:
        patch.setattr("plugin.datasets.harvested.builder.write_png", no_space)
        with pytest.raises(Unwritable, match="No space left on device"):
            builder.add_study(study)
    [outcome], _ = build(target, study)
    assert (outcome.new, outcome.left_out) == (1, ())
    assert len(rows(target)) == 1
