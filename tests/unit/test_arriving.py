"""Marks of listeners that live, that were killed, and that run on another machine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dicom_node import arriving
from dicom_node.arriving import EXPIRY_S, Arriving, Marks

if TYPE_CHECKING:
    from pathlib import Path

#: A listener that brings a series and is killed.
KILLED = """
import os, pathlib, sys
from dicom_node.arriving import Marks
Marks(pathlib.Path(sys.argv[1])).add("1.2")
os.kill(os.getpid(), 9)
"""


def folder_of(root: Path) -> Path:
    [alive] = root.glob("*/alive")
    return alive.parent


def test_a_series_arrives_while_its_mark_is_there(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    marks.add("1.2")
    assert Arriving(tmp_path).has("1.2")
    assert not Arriving(tmp_path).has("1.3")
    marks.discard("1.2")
    assert not Arriving(tmp_path).has("1.2")
    marks.close()
    assert not list(tmp_path.glob("*/alive"))


def test_a_killed_listener_is_known_at_once_on_its_machine(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert (folder_of(tmp_path) / "1.2").exists()
    assert not Arriving(tmp_path).has("1.2")


@pytest.mark.parametrize(("age_s", "lives"), [(EXPIRY_S / 2, True), (EXPIRY_S * 2, False)])
def test_a_listener_on_another_machine_lives_while_it_gives_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, lives: bool
) -> None:
    marks = Marks(tmp_path)
    marks.add("1.2")
    alive = folder_of(tmp_path) / "alive"
    then = alive.stat().st_mtime - age_s
    os.utime(alive, (then, then))
    monkeypatch.setattr(arriving, "_boot_id", lambda: "another machine")
    assert Arriving(tmp_path).has("1.2") is lives
    marks.close()


def test_only_dead_listeners_are_swept(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    marks = Marks(tmp_path)
    Arriving(tmp_path).sweep()
    assert folder_of(tmp_path).exists()
    marks.add("1.2")
    assert Arriving(tmp_path).has("1.2")
    marks.close()


@pytest.mark.parametrize("is_asked_first", [True, False])
def test_one_that_was_taken_for_dead_makes_itself_known_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_asked_first: bool
) -> None:
    marks = Marks(tmp_path)
    marks.add("1.2")
    alive = folder_of(tmp_path) / "alive"
    then = alive.stat().st_mtime - 2 * EXPIRY_S
    os.utime(alive, (then, then))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(arriving, "_boot_id", lambda: "another machine")
        Arriving(tmp_path).sweep()
    assert not Arriving(tmp_path).has("1.2")
    if is_asked_first:
        marks.add("1.3")
    else:
        marks.give_sign()
    assert Arriving(tmp_path).has("1.2")
    assert Arriving(tmp_path).has("1.3") is is_asked_first
    marks.close()
    assert not list(tmp_path.glob("*/alive"))
