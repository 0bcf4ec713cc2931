from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dicom_node.errors import InvalidUID, OutOfSpace
from dicom_node.spool import Shelf, Spool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_what_is_added_is_held(spool: Spool) -> None:
    assert spool.add(Shelf.SERIES, "1.2", "1.2.9", b"nine")
    assert spool.add(Shelf.SERIES, "1.2", "1.2.1", b"one")
    assert [held.sop_instance_uid for held in spool.held("1.2")] == ["1.2.1", "1.2.9"]
    assert spool.held("1.2")[1].path.read_bytes() == b"nine"
    assert spool.count(Shelf.SERIES) == 1


def test_a_second_copy_changes_nothing(spool: Spool) -> None:
    spool.add(Shelf.SERIES, "1.2", "1.2.1", b"first")
    assert not spool.add(Shelf.SERIES, "1.2", "1.2.1", b"second")
    assert spool.held("1.2")[0].path.read_bytes() == b"first"


@pytest.mark.parametrize("torn", [b"", b"the beg"])
def test_the_beginning_that_a_power_cut_left_is_replaced(spool: Spool, torn: bytes) -> None:
    spool.add(Shelf.SERIES, "1.2", "1.2.1", b"the beginning and the end")
    path = spool.held("1.2")[0].path
    path.write_bytes(torn)
    assert spool.add(Shelf.SERIES, "1.2", "1.2.1", b"the beginning and the end")
    assert path.read_bytes() == b"the beginning and the end"


def test_shelves_are_apart(spool: Spool) -> None:
    spool.add(Shelf.ASIDE, "1.2", "1.2.1", b"localizer")
    assert spool.held("1.2") == []
    assert len(spool.held("1.2", Shelf.ASIDE)) == 1


@pytest.mark.parametrize("uid", ["", "..", "../1", "1/2", ".1", "1.2\0", "1" * 65, "a", "1.2\n"])
def test_a_uid_is_checked_before_it_becomes_a_path(spool: Spool, tmp_path: Path, uid: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidUID):
        spool.add(Shelf.SERIES, uid, "1.2.1", b"")
    with pytest.raises(InvalidUID):
        spool.add(Shelf.SERIES, "1.2", uid, b"")
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [
        path for path in before if path.is_file()
    ]


def test_under_the_reserve_nothing_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, reserve_bytes=2**62)
    with pytest.raises(OutOfSpace, match="MiB free"):
        spool.add(Shelf.SERIES, "1.2", "1.2.1", b"")
    with pytest.raises(OutOfSpace):
        spool.quarantine(b"")
    assert spool.held("1.2") == []


def test_half_written_files_of_a_killed_process_are_swept(tmp_path: Path, spool: Spool) -> None:
    spool.add(Shelf.SERIES, "1.2", "1.2.1", b"whole")
    (tmp_path / "series" / "1.2" / "tmpabc.part").write_bytes(b"ha")
    spool.sweep_parts()
    assert [path.name for path in (tmp_path / "series" / "1.2").iterdir()] == ["1.2.1.dcm"]


def test_what_is_removed_is_gone(spool: Spool) -> None:
    spool.add(Shelf.SERIES, "1.2", "1.2.1", b"")
    spool.add(Shelf.SERIES, "1.2", "1.2.2", b"late")
    spool.remove("1.2", {"1.2.1"}, Shelf.SERIES)
    assert [held.sop_instance_uid for held in spool.held("1.2")] == ["1.2.2"]
    spool.remove("1.2", {"1.2.2"}, Shelf.SERIES)
    assert spool.count(Shelf.SERIES) == 0


def test_the_same_unreadable_bytes_are_kept_once(spool: Spool) -> None:
    paths = {spool.quarantine(data) for data in (b"bytes", b"bytes", b"others")}
    assert {path.read_bytes() for path in paths} == {b"bytes", b"others"}
    assert spool.count(Shelf.QUARANTINE) == 2
