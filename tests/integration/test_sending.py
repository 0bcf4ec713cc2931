"""What one try to send comes to, object by object."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydicom.uid import BasicTextSRStorage, CTImageStorage, SecondaryCaptureImageStorage

from deploy.processes import LOOPBACK
from dicom_node import config, delivery
from dicom_node.config_tables import Destination
from dicom_node.delivery import Outcome
from dicom_node.live import fixed
from dicom_node.receipts import Receipts
from dicom_node.revisions import Revisions
from dicom_node.statuses import SUCCESS
from dicom_node.steps import Steps
from plugin import Analysis, Kind, Product
from tests.instances import instance
from tests.pacs import ABORT, ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_node.delivery import Sent

OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
SOP_CLASS_NOT_SUPPORTED = 0x0122
CLASSES = (BasicTextSRStorage, SecondaryCaptureImageStorage, CTImageStorage)


@pytest.fixture
def objects(tmp_path: Path) -> list[Path]:
    """One object of each class, named for it."""
    paths = []
    for number, sop_class in enumerate(CLASSES):
        made = instance("1.2.3", "1.2", number)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop_class
        paths.append(tmp_path / f"{number}.dcm")
        made.save_as(paths[-1], enforce_file_format=True)
    return paths


def send(objects: list[Path], pacs: ScriptedPacs) -> Sent:
    peer = Destination(name="p", host=LOOPBACK, port=pacs.port, ae_title=pacs.ae_title)
    return delivery.send([(path,) for path in objects], peer, "SENDER", timeout_s=10)


@pytest.mark.parametrize(
    ("answers", "outcome", "requests", "words"),
    [
        ([], Outcome.ACKNOWLEDGED, 3, "3 objects"),
        ([OUT_OF_RESOURCES], Outcome.TRY_AGAIN, 3, "0.dcm: refused with status 0xA700"),
        ([CANNOT_UNDERSTAND], Outcome.REFUSED, 3, "0.dcm: refused with status 0xC000"),
        ([SUCCESS, SOP_CLASS_NOT_SUPPORTED], Outcome.UNWILLING, 3, "1.dcm: refused with"),
        ([CANNOT_UNDERSTAND, SOP_CLASS_NOT_SUPPORTED], Outcome.UNWILLING, 3, "1.dcm: refused"),
        ([SOP_CLASS_NOT_SUPPORTED, OUT_OF_RESOURCES], Outcome.TRY_AGAIN, 3, "1.dcm: refused"),
        ([SUCCESS, ABORT], Outcome.TRY_AGAIN, 2, "1.dcm: no answer"),
    ],
)
def test_one_object_does_not_keep_the_others_from_the_peer(
    scripted: ScriptedPacs,
    objects: list[Path],
    answers: list[int],
    outcome: Outcome,
    requests: int,
    words: str,
) -> None:
    scripted.answers = answers
    scripted.start()
    sent = send(objects, scripted)
    assert sent.outcome is outcome
    assert words in sent.reason
    assert len(scripted.requests) == requests


@pytest.fixture
def picky() -> Iterator[ScriptedPacs]:
    """A PACS that is set up to take secondary captures alone."""
    pacs = ScriptedPacs(sop_classes=[SecondaryCaptureImageStorage])
    pacs.start()
    yield pacs
    pacs.stop()


def test_a_class_that_is_not_accepted_is_a_matter_of_setting(
    picky: ScriptedPacs, objects: list[Path]
) -> None:
    sent = send(objects, picky)
    assert sent.outcome is Outcome.UNWILLING
    assert sent.reason == "0.dcm: the peer does not accept its SOP class"
    assert len(picky.kept) == 1


def test_so_it_is_when_none_is_accepted(picky: ScriptedPacs, objects: list[Path]) -> None:
    sent = send(objects[:1], picky)
    assert sent.outcome is Outcome.UNWILLING
    assert sent.reason == "the peer accepts none of the SOP classes"


def test_a_retry_sends_only_what_was_not_acknowledged(
    scripted: ScriptedPacs, tmp_path: Path
) -> None:
    scripted.answers = [SUCCESS, OUT_OF_RESOURCES]
    scripted.start()
    steps, digest = _steps_with_two_objects(tmp_path, scripted)
    first = steps.send("1.2.3", digest, "pacs", since=0.0)
    second = steps.send("1.2.3", digest, "pacs", since=0.0)
    assert (first["state"], second["state"]) == ("failed", "delivered")
    assert second["reason"] == "2 objects"
    numbers = [int(request.InstanceNumber) for request in scripted.requests]
    assert numbers == [1, 2, 2]


def _steps_with_two_objects(folder: Path, pacs: ScriptedPacs) -> tuple[Steps, str]:
    settings = config.parse(
        f"""
        [listener]
        sender = [{{ ae_title = "SENDER" }}]
        [[destination]]
        name = "pacs"
        host = "{LOOPBACK}"
        port = {pacs.port}
        ae_title = "{pacs.ae_title}"
        objects = ["report", "key-images"]
        """
    )
    revisions = Revisions(folder / "reports")
    revision = revisions.freeze("1.2.3", ["1.5"])
    made = [instance("1.2.9", "1.2", number) for number in range(2)]
    kinds = (Kind.REPORT, Kind.KEY_IMAGES)
    products = tuple(Product(kind, one) for kind, one in zip(kinds, made, strict=True))
    revisions.save(revision, Analysis((), products), "fake-1")
    nothing = cast("Any", None)
    receipts = Receipts(folder / "reports")
    steps = Steps(
        fixed(settings), nothing, revisions, receipts, nothing, nothing, lambda: datetime.now(UTC)
    )
    return steps, revision.digest
