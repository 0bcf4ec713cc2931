"""The order of what happens to a file until it survives a power cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dicom_node import durable
from dicom_node.durable import DurableFolders, add_durably, sync_added, write_durably


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to files, in order; fsync by what it is done to."""
    steps: list[str] = []

    def note(module: object, name: str) -> None:
        real = getattr(module, name)

        def noting(*arguments: object) -> object:
            step = name
            if name == "fsync":
                path = Path(f"/proc/self/fd/{arguments[0]}").readlink()
                step = "folder" if path.is_dir() else "file"
            result = real(*arguments)
            steps.append(step)
            return result

        monkeypatch.setattr(module, name, noting)

    note(os, "fsync")
    note(os, "link")
    note(Path, "rename")
    note(durable, "_write_out")
    return steps


def fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_replaced_file_is_synced_before_it_has_its_name_and_its_folder_after(
    tmp_path: Path, happened: list[str]
) -> None:
    write_durably(tmp_path / "it.dcm", b"old")
    write_durably(tmp_path / "it.dcm", b"bytes")
    assert happened[3:] == ["file", "rename", "folder"]
    assert (tmp_path / "it.dcm").read_bytes() == b"bytes"


def test_an_added_file_has_its_bytes_on_disk_before_its_name(
    tmp_path: Path, happened: list[str]
) -> None:
    assert add_durably(tmp_path / "it.dcm", b"bytes")
    assert happened[:2] == ["_write_out", "link"]
    assert sorted(happened[2:]) == ["file", "folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["it.dcm"]


def test_a_file_that_is_there_stays_and_is_made_durable(
    tmp_path: Path, happened: list[str]
) -> None:
    (tmp_path / "it.dcm").write_bytes(b"first")
    assert not add_durably(tmp_path / "it.dcm", b"second")
    assert sorted(happened[1:]) == ["file", "folder"]
    assert (tmp_path / "it.dcm").read_bytes() == b"first"
    happened.clear()
    sync_added(tmp_path / "it.dcm")
    assert sorted(happened) == ["file", "folder"]


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_what_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        add_durably(tmp_path / "it.dcm", b"bytes")
    assert list(tmp_path.iterdir()) == []


def test_a_replacement_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_durably(tmp_path / "it.dcm", b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_durably(tmp_path / "it.dcm", b"bytes")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_folder_of_others_is_synced_once(tmp_path: Path, happened: list[str]) -> None:
    (tmp_path / "made by another process").mkdir()
    folders = DurableFolders()
    folders.make(tmp_path / "made by another process")
    folders.make(tmp_path / "made by another process")
    assert happened == ["folder"]


def test_a_new_folder_is_synced_whatever_was_there_before(
    tmp_path: Path, happened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path.stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: status)  # every inode is used again
    folders = DurableFolders()
    for name in ("1.2", "1.3", "1.3"):
        folders.make(tmp_path / name)
        (tmp_path / name).rmdir()
    assert happened == ["folder"] * 3
