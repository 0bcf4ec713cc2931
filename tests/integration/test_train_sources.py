"""`lesionmark train` on every kind of data set, killed and gone on with, and judged afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from plugin.bookmark import LesionType
from plugin.datasets.deeplesion import Split
from plugin.datasets.deeplesion_table import read_table, write_table
from plugin.detector.checkpoint import read
from plugin.evaluation import __main__ as evaluate
from plugin.training.__main__ import main
from plugin.training.curves import read_log
from tests import training_cases as cases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A tiny network, and blocks as small as can be.
SETTINGS = f"""
[composition]
batch = 1
shape = [24, 64, 64]
negative = 0.0
half = 0.0
mosaic = 0.0
scene = 1.0
[optimisation]
steps = 6
warmup = 1
checkpoint = 2
mining = 4
average = 0.5
[machine]
device = "cpu"
precision = "float32"
loaders = 0
[architecture]
channels = [8, 8, 8, 8]
blocks = [1, 1, 1, 1]
types = {[kind.value for kind in LesionType]}
"""

#: Trains until the first checkpoint is written, and dies of it.
KILLED = """
import os, signal, sys
import torch
from plugin.training import loop
from plugin.training.__main__ import main

save = loop.save
def save_and_die(state, path):
    save(state, path)
    os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
loop.save = save_and_die
main(["--config", sys.argv[1], "--name", "small"])
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _configured(path: Path, sources: list[cases.Written]) -> Path:
    listed = "".join(f"[[sources]]\n{each.toml}" for each in sources)
    path.write_text(f'output = "{path.stem}"\n{listed}{SETTINGS}')
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[cases.Written]:
    """One data set of each layout."""
    folder = tmp_path_factory.mktemp("sources")
    return [layout(folder / layout.__name__) for layout in cases.LAYOUTS]


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    sources: list[cases.Written], tmp_path: Path
) -> None:
    whole, broken = (_configured(tmp_path / f"{n}.toml", sources) for n in ("whole", "broken"))
    assert main(["--config", str(whole), "--name", "small"]) == 0
    died = subprocess.run([sys.executable, "-c", KILLED, str(broken)], timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL
    assert not (tmp_path / "broken" / "small.json").exists()
    assert main(["--config", str(broken), "--name", "small"]) == 0
    expected, found = (read(tmp_path / run, "small") for run in ("whole", "broken"))
    assert found.version == "small-6"
    weights = expected.network.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in found.network.state_dict().items())
    (first,) = [row for row in read_log(tmp_path / "whole" / "log.csv") if row["step"] == 1]
    assert min(first[part] for part in ("centre", "regression", "lesion_type")) > 0
    packs = sorted(path.name.split("-")[0] for path in (tmp_path / "whole" / "packed").iterdir())
    assert packs == sorted(each.source.kind for each in sources)


def test_what_was_trained_is_judged_on_bookmarks_and_on_readers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = cases.deeplesion(tmp_path / "deeplesion")
    cases.lidc(tmp_path / "lidc")
    config = _configured(tmp_path / "run.toml", [written])
    assert main(["--config", str(config), "--name", "small"]) == 0
    table = tmp_path / "deeplesion" / "DL_info.csv"
    write_table(table, [replace(row, split=Split.TEST) for row in read_table(table)])
    weights = ["--weights", str(tmp_path / "run" / "small.safetensors")]
    assert evaluate.main(["--data", str(tmp_path / "deeplesion"), *weights]) == 0
    assert "small-6.1, protocol deeplesion: 1 lesions in 1" in capsys.readouterr().out
    assert evaluate.main(["--data", str(tmp_path / "lidc"), *weights]) == 0
    printed = capsys.readouterr().out
    assert "small-6.1, protocol luna16: 1 lesions in 1" in printed
    assert "| one | lung | 18." in printed


def test_preparing_packs_and_does_not_train(tmp_path: Path) -> None:
    config = _configured(tmp_path / "run.toml", [cases.luna16(tmp_path / "data")])
    assert main(["--config", str(config), "--prepare"]) == 0
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["packed"]


def test_a_source_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = cases.deeplesion(tmp_path / "data")
    (tmp_path / "data" / "DL_info.csv").unlink()
    assert main(["--config", str(_configured(tmp_path / "run.toml", [written]))]) == 2
    assert "there is no DL_info.csv" in capsys.readouterr().err
