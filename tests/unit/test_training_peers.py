"""Two processes do what one would; each test has a process of its own to fork from."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import torch

from plugin.training.peers import Peers, together

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import json, sys, torch
from pathlib import Path
from plugin.training.peers import together

def work(peers):
    ours = [torch.full((2, 3), float(peers.rank)), torch.tensor(10.0 * peers.rank)]
    peers.average(ours)
    said = peers.agree(5.0 + peers.rank)
    shared = peers.share(list(range(5)), lambda n: (n * n, peers.rank))
    found = [ours[0].tolist(), ours[1].item(), said, shared]
    Path(sys.argv[1], str(peers.rank)).write_text(json.dumps(found))

together(2, work)
"""


def test_two_processes_average_agree_and_share(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, timeout=120)
    for rank in "01":
        mean, scalar, said, shared = json.loads((tmp_path / rank).read_text())
        assert mean == [[0.5] * 3] * 2
        assert (scalar, said) == (5.0, 5.0)
        assert shared == [[0, 0], [1, 1], [4, 0], [9, 1], [16, 0]]


def test_one_process_does_everything_itself() -> None:
    alone = Peers()
    value = torch.tensor([3.0])
    alone.average([value])
    assert value.item() == 3.0
    assert alone.agree(4.0) == 4.0
    assert alone.share([1, 2], lambda n: n + 1) == [2, 3]
    seen = []
    together(1, seen.append)
    assert seen == [alone]


def test_a_failure_of_one_process_is_not_hidden() -> None:
    failing = (
        "from plugin.training.peers import together\ntogether(2, lambda peers: 1 / peers.rank)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", failing], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode != 0
    assert "ZeroDivisionError" in ended.stderr
