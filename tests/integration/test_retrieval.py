"""C-GET and C-MOVE with Orthanc and with DCMTK's dcmqrscp."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    RLELossless,
    RTStructureSetStorage,
    generate_uid,
)
from pynetdicom import AE, evt

from deploy.processes import LOOPBACK, free_port
from dicom_node import delivery, retrieval
from dicom_node.audit import SILENT
from dicom_node.config_tables import QueryPeer, Tls
from dicom_node.errors import NoAnswer, NodeError, RetrieveRefused
from dicom_node.instance import Sizes
from dicom_node.keeping import Keeper
from dicom_node.move_destination import MoveDestination
from dicom_node.retrieval import Conditions, Retrieved, Wanted
from dicom_node.sop_classes import STUDY_ROOT_GET
from tests.archives import ARCHIVES, ASKING, TAKING, Archive, orthanc
from tests.certificates import Authority
from tests.instances import instance, write_series
from tests.peers import answer_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pynetdicom.events import Event

    from tests.instances import WrittenSeries
    from tests.pacs import ScriptedPacs

OBJECTS = {
    "SR": BasicTextSRStorage,
    "PR": GrayscaleSoftcopyPresentationStateStorage,
    "KO": KeyObjectSelectionDocumentStorage,
    "RTSTRUCT": RTStructureSetStorage,
}
BY = pytest.mark.parametrize("by", ["get", "move"])


@pytest.fixture(scope="module", params=list(ARCHIVES))
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """Each archive in turn, shared by the tests, each with studies of its own."""
    with ARCHIVES[request.param](tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture
def ct(tmp_path: Path, archive: Archive) -> WrittenSeries:
    """A series of five in the archive."""
    series = write_series(tmp_path / "ct", 5)
    archive.keep(series.paths)
    return series


def of(series: WrittenSeries, *numbers: int) -> Wanted:
    uids = tuple(dcmread(series.paths[number]).SOPInstanceUID for number in numbers)
    return Wanted(series.study_uid, series.series_uid, uids)


def data_sets(paths: tuple[Path, ...]) -> list[bytes]:
    """What lies behind the file meta information, sorted."""
    found = []
    for path in paths:
        meta = dcmread(path, stop_before_pixels=True).file_meta
        found.append(path.read_bytes()[132 + 12 + meta.FileMetaInformationGroupLength :])
    return sorted(found)


def retrieved_or_refused(
    archive: Archive, by: str, wanted: Wanted, folder: Path, conditions: Conditions
) -> Retrieved | None:
    """Archives differ in whether they call it a failure when nothing could be sent."""
    try:
        return archive.retrieve(by, wanted, folder, conditions)
    except RetrieveRefused as error:
        # In English behind a number of the standard's.
        assert re.search(r"status 0x[0-9A-F]{4} [a-z]+", str(error))  # noqa: PT017
        return None


@BY
def test_what_was_stored_comes_back_byte_by_byte(
    archive: Archive, ct: WrittenSeries, tmp_path: Path, by: str
) -> None:
    heard: list[Path] = []
    conditions = Conditions(timeout_s=10, on_kept=heard.append)
    got = archive.retrieve(by, Wanted(ct.study_uid), tmp_path / "got", conditions)
    assert got.is_complete
    assert data_sets(got.paths) == data_sets(ct.paths)
    assert tuple(heard) == got.paths


@BY
def test_only_the_instances_that_were_asked_for_come(
    archive: Archive, ct: WrittenSeries, tmp_path: Path, by: str
) -> None:
    wanted = of(ct, 1, 3)
    got = archive.retrieve(by, wanted, tmp_path / "got")
    assert sorted(path.stem for path in got.paths) == sorted(wanted.sop_instance_uids)


@BY
def test_one_series_of_a_study_comes(
    archive: Archive, ct: WrittenSeries, tmp_path: Path, by: str
) -> None:
    other = write_series(tmp_path / "other", 2, study_uid=ct.study_uid)
    archive.keep(other.paths)
    got = archive.retrieve(by, Wanted(ct.study_uid, other.series_uid), tmp_path / "got")
    assert data_sets(got.paths) == data_sets(other.paths)


@BY
def test_bookmark_objects_come_as_they_are(archive: Archive, tmp_path: Path, by: str) -> None:
    study_uid = generate_uid()
    paths = [tmp_path / f"{modality}.dcm" for modality in OBJECTS]
    for path, number in zip(paths, count(), strict=False):
        found = instance(generate_uid(), study_uid, number)
        found.Modality, found.SOPClassUID = path.stem, OBJECTS[path.stem]
        found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
        found.save_as(path, enforce_file_format=True)
    archive.keep(paths)
    got = archive.retrieve(by, Wanted(study_uid), tmp_path / "got")
    assert data_sets(got.paths) == data_sets(tuple(paths))


@BY
def test_a_retrieval_that_is_repeated_gives_the_same_files(
    archive: Archive, ct: WrittenSeries, tmp_path: Path, by: str
) -> None:
    first = archive.retrieve(by, Wanted(ct.study_uid), tmp_path / "got")
    again = archive.retrieve(by, Wanted(ct.study_uid), tmp_path / "got")
    assert sorted(again.paths) == sorted(first.paths)
    assert sorted((tmp_path / "got").iterdir()) == sorted(first.paths)


@BY
def test_an_instance_that_is_too_large_is_refused_and_counted(
    archive: Archive, ct: WrittenSeries, tmp_path: Path, by: str
) -> None:
    conditions = Conditions(timeout_s=10, sizes=Sizes(100, 100))
    got = retrieved_or_refused(archive, by, Wanted(ct.study_uid), tmp_path / "got", conditions)
    assert got is None or (got.failed and not got.is_complete)
    assert list((tmp_path / "got").iterdir()) == []


@BY
def test_a_study_that_is_not_there_gives_nothing(archive: Archive, tmp_path: Path, by: str) -> None:
    wanted = Wanted(generate_uid())
    got = retrieved_or_refused(archive, by, wanted, tmp_path / "got", Conditions(timeout_s=10))
    assert got is None or got.paths == ()


@BY
def test_a_retrieval_that_is_cancelled_ends(archive: Archive, tmp_path: Path, by: str) -> None:
    series = write_series(tmp_path / "ct", 30)
    archive.keep(series.paths)
    came: list[Path] = []
    conditions = Conditions(timeout_s=10, on_kept=came.append, is_cancelled=lambda: len(came) > 2)
    got = archive.retrieve(by, Wanted(series.study_uid), tmp_path / "got", conditions)
    assert got.was_cancelled == (len(got.paths) < 30)
    assert tuple(came) == got.paths


def test_an_instance_that_nobody_asked_for_is_refused(archive: Archive, tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 1)
    ours = QueryPeer(
        host=LOOPBACK, port=archive.destination.settings.port, ae_title=archive.destination.ae_title
    )

    def refused() -> str:
        forms = [(path,) for path in series.paths]
        sent = delivery.send(forms, ours, archive.peer.ae_title, timeout_s=10)
        assert sent.outcome is delivery.Outcome.UNWILLING
        return sent.reason

    assert "0x0124" in refused()
    keeper = Keeper(Wanted("1.2.3"), tmp_path / "got", Sizes(1 << 20, 1 << 20))
    with archive.destination.filled_by(keeper):
        assert "0x0124" in refused()
    assert keeper.kept == ()
    assert list((tmp_path / "got").iterdir()) == []


def test_a_stranger_is_not_let_in_to_the_destination(archive: Archive) -> None:
    assert answer_to(archive.destination.settings.port, "STRANGER", called=TAKING) == (1, 1, 3)


def test_a_destination_that_the_peer_does_not_know_is_named(
    archive: Archive, ct: WrittenSeries, tmp_path: Path
) -> None:
    settings = archive.destination.settings
    unknown = settings.model_copy(update={"ae_title": "UNKNOWN", "port": free_port()})
    wanted, refusal = Wanted(ct.study_uid), r"0xA801 move destination unknown|0xC000"
    with MoveDestination(unknown, SILENT) as nowhere, pytest.raises(RetrieveRefused, match=refusal):
        retrieval.move(wanted, archive.peer, ASKING, tmp_path / "got", nowhere)


def test_a_port_that_is_taken_is_named(archive: Archive) -> None:
    taken = archive.destination.settings
    with (
        pytest.raises(NodeError, match=f"cannot listen on {taken.host}:{taken.port}"),
        MoveDestination(taken, SILENT),
    ):
        pass


@BY
def test_compressed_images_come_as_they_are_by_tls_both_ways(tmp_path: Path, by: str) -> None:
    keys = Authority(tmp_path / "tls").issue("both")
    series = write_series(tmp_path / "ct", 2)
    packed = dcmread(series.paths[0])
    packed.compress(RLELossless, generate_instance_uid=False)
    packed.save_as(series.paths[0])
    with orthanc(tmp_path / "orthanc", tls=Tls(**keys.table)) as archive:
        archive.keep(series.paths)
        got = archive.retrieve(by, Wanted(series.study_uid), tmp_path / "got")
    assert data_sets(got.paths) == data_sets(series.paths)
    syntaxes = {dcmread(path).file_meta.TransferSyntaxUID for path in got.paths}
    assert syntaxes == {RLELossless, ExplicitVRLittleEndian}


def test_a_peer_that_does_not_let_us_in_is_named(archive: Archive, tmp_path: Path) -> None:
    ours = archive.destination.settings
    closed = QueryPeer(host=LOOPBACK, port=ours.port, ae_title=ours.ae_title)
    with pytest.raises(NoAnswer, match=f"{LOOPBACK}:{ours.port}: association rejected"):
        retrieval.get(Wanted("1.2.3"), closed, "STRANGER", tmp_path, Conditions(timeout_s=5))


def test_a_peer_that_only_takes_instances_refuses(scripted: ScriptedPacs, tmp_path: Path) -> None:
    scripted.start()
    asked = QueryPeer(host=LOOPBACK, port=scripted.port, ae_title=scripted.ae_title)
    with pytest.raises(RetrieveRefused, match="does not accept C-GET"):
        retrieval.get(Wanted("1.2.3"), asked, ASKING, tmp_path, Conditions(timeout_s=5))


@dataclass
class _Silent:
    """A Retrieve SCP that sends one instance after a while, and then falls silent or stops."""

    says: threading.Event
    cancelled: threading.Event

    def handle(self, event: Event) -> Iterator[object]:
        yield 2
        while not self.says.wait(0.05):
            if event.is_cancelled:
                self.cancelled.set()
                yield 0xFE00, None
                return


@pytest.fixture
def silent() -> Iterator[tuple[_Silent, QueryPeer]]:
    """Up, and silent until told."""
    port, scp = free_port(), _Silent(threading.Event(), threading.Event())
    entity = AE("SILENT")
    entity.add_supported_context(STUDY_ROOT_GET)
    entity.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    entity.start_server((LOOPBACK, port), block=False, evt_handlers=[(evt.EVT_C_GET, scp.handle)])
    yield scp, QueryPeer(host=LOOPBACK, port=port, ae_title="SILENT")
    scp.says.set()
    entity.shutdown()


def test_a_peer_that_falls_silent_is_given_up(
    silent: tuple[_Silent, QueryPeer], tmp_path: Path
) -> None:
    _, peer = silent
    with pytest.raises(NoAnswer, match="no answer: aborted, or timed out"):
        retrieval.get(Wanted("1.2.3"), peer, ASKING, tmp_path, Conditions(timeout_s=0.5))


def test_a_peer_that_sends_nothing_is_told_to_stop(
    silent: tuple[_Silent, QueryPeer], tmp_path: Path
) -> None:
    scp, peer = silent
    conditions = Conditions(timeout_s=10, is_cancelled=lambda: True)
    got = retrieval.get(Wanted("1.2.3"), peer, ASKING, tmp_path, conditions)
    assert got.was_cancelled
    assert scp.cancelled.is_set()
