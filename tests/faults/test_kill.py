"""kill -9 in every state: each acknowledged series ends in exactly one report."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING

import pytest

from dicom_node.statuses import SUCCESS
from tests.accounting import Books
from tests.instances import write_series
from tests.node import Node, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local_pacs import OrthancPacs
    from tests.instances import WrittenSeries
    from tests.pacs import ScriptedPacs


def killed_and_restarted(node: Node) -> None:
    node.process.kill()
    node.process.start()


def assert_one_report(node: Node, orthanc: OrthancPacs, series: WrittenSeries) -> None:
    node.wait_for(series, "delivered")
    assert len(orthanc.reports(series.study_uid)) == 1


def test_while_receiving(node: Node, orthanc: OrthancPacs, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 6)
    association = node.associate()
    for path in series.paths[:3]:
        assert association.send_c_store(path).Status == SUCCESS
    killed_and_restarted(node)
    node.send(series.paths[3:])
    assert_one_report(node, orthanc, series)
    assert node.status(series)[0].reason.startswith("0 lesions")


def test_in_the_quiet_period(tmp_path: Path, orthanc: OrthancPacs) -> None:
    series = write_series(tmp_path / "ct", 6)
    to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
    with Node(tmp_path / "node", to, completion={"quiet_period_s": 4.0}) as node:
        node.send(series.paths)
        assert node.states(series) == ["receiving"]
        killed_and_restarted(node)
        assert_one_report(node, orthanc, series)


def test_while_analysing(node: Node, orthanc: OrthancPacs, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 6)
    node.gate.touch()
    node.send(series.paths)
    node.wait_for(series, "analysing")
    node.process.kill()
    node.gate.unlink()
    node.process.start()
    assert_one_report(node, orthanc, series)


def test_before_sending(tmp_path: Path, scripted: ScriptedPacs) -> None:
    series = write_series(tmp_path / "ct", 6)
    with Node(tmp_path / "node", [("pacs", scripted.ae_title, scripted.port)]) as node:
        node.send(series.paths)
        node.wait_for(series, "delivering")
        node.process.kill()
        scripted.start()
        node.process.start()
        node.wait_for(series, "delivered")
    assert len(scripted.kept) == 1


def test_between_two_destinations(
    tmp_path: Path, orthanc: OrthancPacs, scripted: ScriptedPacs
) -> None:
    series = write_series(tmp_path / "ct", 6)
    to = [
        ("first", orthanc.ae_title, orthanc.dicom_port),
        ("second", scripted.ae_title, scripted.port),
    ]
    with Node(tmp_path / "node", to) as node:
        node.send(series.paths)
        eventually(lambda: orthanc.reports(series.study_uid), "the report at the first")
        node.process.kill()
        scripted.start()
        node.process.start()
        assert_one_report(node, orthanc, series)
    assert len(scripted.kept) == 1
    assert str(scripted.kept[0].SOPInstanceUID) == orthanc.reports(series.study_uid)[0]


KILLS = int(os.environ.get("LESIONMARK_KILLS", "20"))
SENDERS = 4


@pytest.mark.timeout(300 + 10 * KILLS)
def test_at_random_moments_under_load(tmp_path: Path, orthanc: OrthancPacs) -> None:
    """Parallel senders never rest while the node is killed LESIONMARK_KILLS times."""
    seed = os.environ.get("LESIONMARK_SEED", os.urandom(4).hex())
    print(f"LESIONMARK_SEED={seed}")
    to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
    node = Node(tmp_path / "node", to, completion={"quiet_period_s": 0.5})
    senders = [sender(node, f"{seed}-{n}", tmp_path) for n in range(SENDERS)]
    try:
        kill_again_and_again(node, random.Random(seed))
        node.process.start()
        books = read_books(senders, tmp_path)
        count = sum(map(len, books.acknowledged.values()))
        print(f"{KILLS} kills, {count} instances of {len(books.acknowledged)} series acknowledged")
        assert count >= KILLS
        books.balance(node, orthanc.reports, limit_s=60 + KILLS)
    finally:
        for one in senders:
            one.kill()
        node.process.kill()


def sender(node: Node, seed: str, folder: Path) -> subprocess.Popen[str]:
    with (folder / f"sender-{seed}.jsonl").open("w") as answers:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sender", str(node.port), seed],
            stdin=subprocess.PIPE, stdout=answers, text=True,
        )  # fmt: skip


def read_books(senders: list[subprocess.Popen[str]], folder: Path) -> Books:
    """End the senders in good order and read what was acknowledged to them."""
    books = Books()
    for one in senders:
        one.communicate("enough\n", timeout=120)
        assert one.returncode == 0
    for answers in folder.glob("sender-*.jsonl"):
        for line in answers.read_text().splitlines():
            books.acknowledge(*json.loads(line))
    return books


def kill_again_and_again(node: Node, chance: random.Random) -> None:
    """One time in four before the node has come up."""
    for _ in range(KILLS):
        node.process.launch()
        if chance.random() < 0.75:
            node.process.wait_until_it_answers(60)
        Event().wait(chance.uniform(0.0, 1.5))
        node.process.kill()
