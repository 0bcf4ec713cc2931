"""Patients stand in the audit trail by their IDs, and nowhere else."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import _config

from deploy.processes import LocalProcess
from dicom_node.statuses import SUCCESS
from tests import audit_schema
from tests.instances import WrittenSeries, instance
from tests.node import SENDER, Node, eventually
from tests.peers import answer_to, associate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from deploy.local_pacs import OrthancPacs

PATIENT_ID = "PID-5550199"
#: What nobody may read in a log; a date and an age that are none make libraries talk.
SECRETS = {
    "PatientName": "Geheimrat^Zyprian",
    "PatientID": PATIENT_ID,
    "PatientBirthDate": "1899o3o7",
    "PatientAge": "137Jahre",
    "AccessionNumber": "ACC-8675309",
    "ReferringPhysicianName": "Quacksalber^Zacharias",
}
_LOUD = """
import logging, sys
from dicom_node import cli, logs
quiet = logs.to_stderr
def loud(*how):
    quiet(*how)
    for name in ("", "pydicom", "pynetdicom", "dbos", "sqlalchemy", "dicom_node", "plugin"):
        logging.getLogger(name).setLevel(logging.DEBUG)
logs.to_stderr = loud
sys.exit(cli.main(sys.argv[1:]))
"""


class Loud:
    """A node whose libraries, too, log all they can, with its series and its audit trail."""

    def __init__(self, node: Node) -> None:
        self.node = node
        script = node.folder / "loud.py"
        script.write_text(_LOUD)
        command = [sys.executable, str(script), *node.command("serve")[3:]]
        node.process = LocalProcess(
            "lesionmark", command, log=node.folder / "node.log", answers=node.answers
        )
        node.process._environment["PYTHONPATH"] = ":".join(sys.path)

    def log(self) -> str:
        return self.node.process.log.read_text(errors="replace")

    def trail(self) -> list[Element]:
        """Every audit message so far, checked against the schema."""
        lines = (self.node.folder / "state" / "audit.log").read_text("utf-8").splitlines()
        messages = [ElementTree.fromstring(line.partition("\ufeff")[2]) for line in lines]
        for message in messages:
            audit_schema.check(message)
        return messages

    def events(self) -> list[tuple[str, str, str]]:
        """Event ID, action and outcome of every audit message."""
        found = []
        for message in self.trail():
            event = message[0]
            found.append(
                (
                    event[0].get("csd-code", ""),
                    event.get("EventActionCode", ""),
                    event.get("EventOutcomeIndicator", ""),
                )
            )
        return found


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory, orthanc: OrthancPacs) -> Iterator[Loud]:
    node = Node(
        tmp_path_factory.mktemp("loud"),
        [("pacs", orthanc.ae_title, orthanc.dicom_port)],
        node={"log_level": "DEBUG"},
        completion={
            "quiet_period_s": 1.0,
            "query": {
                "host": "127.0.0.1", "port": orthanc.dicom_port, "ae_title": orthanc.ae_title
            },
        },
    )  # fmt: skip
    made = Loud(node)
    with node:
        yield made


def secret_series(folder: Path, count: int) -> WrittenSeries:
    folder.mkdir()
    series_uid, study_uid = generate_uid(), generate_uid()
    paths = []
    for number in range(count):
        ct = with_secrets(instance(series_uid, study_uid, number))
        paths.append(folder / f"{number:03}.dcm")
        ct.save_as(paths[-1], enforce_file_format=True)
    return WrittenSeries(study_uid, series_uid, tuple(paths))


def with_secrets(ct: Dataset) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in SECRETS.items():
            setattr(ct, keyword, value)
    return ct


def test_a_report_is_delivered_without_a_word_about_the_patient(loud: Loud, tmp_path: Path) -> None:
    series = secret_series(tmp_path / "ct", 4)
    loud.node.send(series.paths)
    loud.node.wait_for(series, "delivered")
    assert series.series_uid in loud.log()
    assert_discreet(loud.log())


def test_an_analysis_fails_without_a_word_about_the_patient(loud: Loud, tmp_path: Path) -> None:
    series = secret_series(tmp_path / "ct", 13)
    loud.node.send(series.paths)
    loud.node.wait_for(series, "failed")
    assert "in analyse" in loud.log()
    assert_discreet(loud.log() + str(loud.node.status(series)))


def test_a_refusal_says_nothing_about_the_patient(loud: Loud, tmp_path: Path) -> None:
    series = secret_series(tmp_path / "ct", 2)
    loud.node.send(series.paths)
    loud.node.wait_for(series, "refused")
    assert_discreet(loud.log())


@pytest.mark.parametrize("fault", ["name for a UID", "no data set"])
def test_what_is_broken_is_refused_without_a_word_about_the_patient(
    loud: Loud, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    [path] = secret_series(tmp_path / "ct", 1).paths
    data = path.read_bytes()
    if fault == "no data set":
        name = b"\x10\x00\x10\x00PN\xff\x7fGeheimrat^Zyprian "
        path.write_bytes(data[: data.index(b"\x08\x00\x08\x00CS")] + 5 * name)
    else:
        uid = str(dcmread(path).SeriesInstanceUID).encode()
        path.write_bytes(data.replace(uid, b"Geheimrat^Zyprian".ljust(len(uid))))
    association = associate(loud.node.port, SENDER)
    assert association.send_c_store(path).Status != SUCCESS
    association.release()
    assert_discreet(loud.log())


def test_the_trail_tells_who_sent_what_of_whom(loud: Loud, tmp_path: Path) -> None:
    before = len(loud.events())
    series = secret_series(tmp_path / "ct", 5)
    loud.node.send(series.paths)
    loud.node.wait_for(series, "delivered")
    expected = {
        ("110104", "C", "0"),  # received
        ("110112", "E", "0"),  # asked for the count
        ("110102", "E", "0"),  # about to send the report
        ("110104", "R", "0"),  # sent
    }
    eventually(lambda: set(loud.events()[before:]) == expected, f"{expected}", limit_s=10)
    received = next(m for m in loud.trail()[before:] if m[0].get("EventActionCode") == "C")
    ids = [o.get("ParticipantObjectID") for o in received.iter("ParticipantObjectIdentification")]
    assert ids == [series.study_uid, PATIENT_ID]
    assert [c.get("NumberOfInstances") for c in received.iter("SOPClass")] == ["5"]
    assert received[1].get("UserID") == SENDER


def test_the_trail_tells_who_was_turned_away(loud: Loud) -> None:
    before = len(loud.events())
    assert answer_to(loud.node.port, "STRANGER") == (1, 1, 3)
    alert = ("110113", "E", "4")
    eventually(lambda: loud.events()[before:] == [alert], "an alert", limit_s=10)
    assert loud.trail()[-1][2].get("UserID") == "STRANGER"


def test_the_trail_begins_with_the_start_and_ends_with_the_stop(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path / "node", [("pacs", "NOBODY", 1)])
    with node:
        node.process.stop()
    made = Loud(node)
    kinds = [message[0][1].get("csd-code") for message in made.trail()]
    assert kinds == ["110120", "110121"]


def assert_discreet(shown: str) -> None:
    """No secret, nor a part of a name, in what a person is shown."""
    words = {word for secret in SECRETS.values() for word in secret.split("^")}
    assert [word for word in words if word in shown] == []
