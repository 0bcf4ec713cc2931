"""`lesionmark train` and `lesionmark evaluate`, as a process and without a configuration."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest

from dicom_node import cli, handing_over
from dicom_node.errors import NodeError
from tests.integration.test_cli import lesionmark

if TYPE_CHECKING:
    from pathlib import Path


def test_evaluate_takes_its_own_arguments(tmp_path: Path) -> None:
    ran = lesionmark("evaluate", "--data", tmp_path / "absent", "--protocol", "deeplesion")
    assert ran.returncode == 1
    assert ran.stderr == f"lesionmark evaluate: {tmp_path}/absent: there is no such folder\n"


def test_the_configuration_of_training_is_not_that_of_the_node(tmp_path: Path) -> None:
    ran = lesionmark("train", "--config", tmp_path / "absent.toml")
    assert ran.returncode == 2
    assert f"{tmp_path}/absent.toml" in ran.stderr


def test_help_is_that_of_the_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        handing_over.evaluate(Namespace(rest=["--help"]))
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: lesionmark evaluate [-h] --data FOLDER")


def test_other_subcommands_refuse_what_they_do_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", "--data", "x"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --data" in capsys.readouterr().err


def test_a_missing_library_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plugin.training.__main__", None)
    with pytest.raises(NodeError, match=r"is not installed: pip install 'lesionmark\[training\]'"):
        handing_over.train(Namespace(rest=[]))


def test_the_node_knows_neither_torch_nor_the_tools() -> None:
    program = """
import sys, dicom_node.cli
print(sorted({"torch", "matplotlib", "plugin.training", "plugin.evaluation"} & set(sys.modules)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
