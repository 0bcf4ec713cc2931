"""Where the address of the work queue may stand, and that it shows nowhere else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError

from dicom_node import config, database
from dicom_node.errors import ConfigError, NodeError, QueueUnavailable
from dicom_node.lease import FileLease, SessionLease

if TYPE_CHECKING:
    from dicom_node.config import Settings

SHIPPED = Path(__file__).parents[2] / "config.toml"
URL = "postgresql://reader:hunter2@localhost:1/queue"


def settings(value: str, folder: Path = Path("/nowhere")) -> Settings:
    text = SHIPPED.read_text().replace('database = "sqlite"', f'database = "{value}"')
    return config.parse(text.replace("/var/lib/lesionmark", str(folder)))


def url(value: str) -> str:
    return str(database.dbos_config(settings(value))["system_database_url"])


def test_sqlite_lies_in_the_state_folder() -> None:
    assert url("sqlite") == "sqlite:////nowhere/work.sqlite"
    assert not database.is_shared(settings("sqlite"))
    assert isinstance(database.lease(settings("sqlite")), FileLease)


def test_postgresql_may_stand_in_the_file_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(f"{URL}\n")
    monkeypatch.setenv("QUEUE", URL)
    assert url(URL) == url("env:QUEUE") == url(f"file:{tmp_path}/secret") == URL
    assert isinstance(database.lease(settings("env:QUEUE")), SessionLease)


@pytest.mark.parametrize("value", ["env:NOT_SET", "file:/not/there"])
def test_an_address_that_is_not_there_is_named_by_its_key(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^node\.database: "):
        database.lease(settings(value))


def test_the_address_is_in_no_error_and_no_text(tmp_path: Path) -> None:
    made = settings(URL, tmp_path)
    with pytest.raises(NodeError, match=r"^node\.database: ") as connecting:
        database.connect(made)
    with pytest.raises(NodeError, match=r"^node\.database: ") as holding:
        database.lease(made).hold()
    texts = [str(connecting.value), str(holding.value), repr(made)]
    assert not any("hunter2" in text for text in texts)


def test_a_folder_has_one_worker_on_sqlite(tmp_path: Path) -> None:
    first, second = FileLease(tmp_path), FileLease(tmp_path)
    first.hold()
    with pytest.raises(NodeError, match="another node is running"):
        second.hold()
    first.release()
    second.hold()
    with second.taken("whoever was here before") as is_gone:
        assert is_gone
    second.release()


def test_what_cannot_be_written_down_does_not_say_what_that_was() -> None:
    lost = OperationalError("INSERT :name", {"name": "Secret^Person"}, sqlite3.Error("disk full"))
    with pytest.raises(QueueUnavailable) as error, database.written_down("1.2"):
        raise lost
    assert str(error.value) == "series 1.2: Error: disk full"
