"""Two listeners and three workers on PostgreSQL and one spool; any of them may be killed."""

from __future__ import annotations

import os
import random
from io import BytesIO
from threading import Event
from typing import TYPE_CHECKING

import psycopg
import pytest
from pydicom import dcmread

from deploy.local_postgres import LocalPostgres, find_postgres
from dicom_node import lease
from dicom_node.errors import NodeError
from dicom_node.statuses import SUCCESS
from tests.cluster import Member
from tests.conftest import missing
from tests.faults.test_kill import read_books, sender
from tests.instances import write_series
from tests.node import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.local_pacs import OrthancPacs

KILLS = int(os.environ.get("LESIONMARK_CLUSTER_KILLS", "3"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[LocalPostgres]:
    if find_postgres() is None:
        missing("PostgreSQL")
    with LocalPostgres() as server:
        yield server


@pytest.fixture
def database(postgres: LocalPostgres, tmp_path: Path) -> str:
    """What a configuration says: where the secret is, and not the secret."""
    path = tmp_path / "database"
    path.write_text(f"{postgres.url}_{tmp_path.name}\n")
    return f"file:{path}"


class Cluster:
    """Members that are started and killed together or alone."""

    def __init__(self, folder: Path, orthanc: OrthancPacs, database: str) -> None:
        self.folder = folder
        self._to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
        self._database = database
        self.members: list[Member] = []

    def add(self, role: str, number: int) -> Member:
        """One more, running."""
        member = Member(
            self.folder,
            self._to,
            self._database,
            role=role,
            name=f"{role}-{number}",
            completion={"quiet_period_s": 0.5, "cap_s": 30.0},
        )
        self.members.append(member)
        member.process.launch()
        return member

    def wait_until_ready(self) -> None:
        for member in self.members:
            member.process.wait_until_it_answers(60)

    def of(self, role: str) -> list[Member]:
        return [member for member in self.members if member.role == role]


@pytest.fixture
def cluster(tmp_path: Path, orthanc: OrthancPacs, database: str) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "node", orthanc, database)
    yield made
    for member in made.members:
        member.process.kill()


def test_work_of_a_worker_that_never_comes_back_is_done_by_another(
    cluster: Cluster, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    listener, first = cluster.add("listener", 0), cluster.add("worker", 0)
    cluster.wait_until_ready()
    first.gate.touch()
    series = write_series(tmp_path / "ct", 4)
    listener.send(series.paths)
    listener.wait_for(series, "analysing")
    first.process.kill()
    second = cluster.add("worker", 1)
    second.wait_for(series, "delivered")
    assert len(orthanc.reports(series.study_uid)) == 1
    assert "of worker worker-0 goes on" in second.log
    with psycopg.connect((tmp_path / "database").read_text().strip()) as connection:
        query = "SELECT recovery_attempts FROM dbos.workflow_status WHERE name = 'analyse'"
        assert connection.execute(query).fetchall() == [(2,)]  # so there is an end to it


def test_a_revision_waits_for_the_one_before_it(
    cluster: Cluster, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    listener = cluster.add("listener", 0)
    workers = [cluster.add("worker", number) for number in range(2)]
    cluster.wait_until_ready()
    for worker in workers:
        worker.gate.touch()
    series = write_series(tmp_path / "ct", 6)
    listener.send(series.paths[:4])
    listener.wait_for(series, "analysing")
    listener.send(series.paths[4:])
    eventually(lambda: any("an earlier revision" in w.log for w in workers), "its turn")
    for worker in workers:
        worker.gate.unlink()
    listener.wait_for(series, "delivered", "delivered")
    reports = [dcmread(BytesIO(orthanc.download(u))) for u in orthanc.reports(series.study_uid)]
    [first, second] = sorted(reports, key=lambda report: int(report.InstanceNumber))
    [before] = second.PredecessorDocumentsSequence
    assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID


def test_a_listener_that_is_killed_does_not_hold_up_its_series(
    cluster: Cluster, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    listener, worker = cluster.add("listener", 0), cluster.add("worker", 0)
    cluster.wait_until_ready()
    series = write_series(tmp_path / "ct", 4)
    association = listener.associate()
    for path in series.paths:
        assert association.send_c_store(path).Status == SUCCESS
    eventually(lambda: "an association is open" in worker.log, "a look")
    listener.process.kill()
    worker.wait_for(series, "delivered")
    assert len(orthanc.reports(series.study_uid)) == 1


@pytest.mark.timeout(300 + 20 * KILLS)
def test_any_may_be_killed_under_load(
    cluster: Cluster, orthanc: OrthancPacs, postgres: LocalPostgres, tmp_path: Path
) -> None:
    """LESIONMARK_CLUSTER_KILLS members are killed; the last one is a worker, and stays dead."""
    seed = os.environ.get("LESIONMARK_SEED", os.urandom(4).hex())
    print(f"LESIONMARK_SEED={seed}")
    for role, count in (("worker", 3), ("listener", 2)):
        for number in range(count):
            cluster.add(role, number)
    cluster.wait_until_ready()
    listeners, workers = cluster.of("listener"), cluster.of("worker")
    senders = [
        sender(node, f"{seed}-{node.role}{n}", tmp_path) for n, node in enumerate(listeners * 2)
    ]
    try:
        kill_and_restart(cluster.members, random.Random(seed))
        workers[0].process.kill()
        books = read_books(senders, tmp_path)
        assert len(books.acknowledged) >= KILLS
        books.balance(workers[1], orthanc.reports, limit_s=120)
    finally:
        for one in senders:
            one.kill()
    said = [member.log for member in cluster.members] + [workers[1].call("status").stdout]
    assert not any(postgres.password in text for text in said)


def kill_and_restart(members: list[Member], chance: random.Random) -> None:
    for _ in range(KILLS - 1):
        Event().wait(chance.uniform(0.5, 2.0))
        victim = chance.choice(members)
        victim.process.kill()
        victim.restart()


def test_a_name_is_held_by_one_worker(
    postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_PATIENCE_S", 1)
    url = f"{postgres.url.rpartition('/')[0]}/postgres"
    first, second = lease.SessionLease(url, "w"), lease.SessionLease(url, "w")
    other = lease.SessionLease(url, "other")
    first.hold()
    with pytest.raises(NodeError, match="another worker 'w' is running"):
        second.hold()
    assert not is_free(other, "w")
    first.release()
    # The server hears of the end of a session a moment later.
    eventually(lambda: is_free(other, "w"), "a free name")
    second.hold()
    assert not is_free(other, "w")
    for one in (second, other):
        one.release()


def is_free(by: lease.SessionLease, name: str) -> bool:
    with by.taken(name) as is_gone:
        return is_gone
