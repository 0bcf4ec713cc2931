"""Where the work queue is kept: a file of SQLite, or PostgreSQL for several machines."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy.exc import SQLAlchemyError

from dicom_node import secret, telemetry
from dicom_node.errors import ConfigError, NodeError, QueueUnavailable, describe
from dicom_node.lease import FileLease, Lease, SessionLease
from dicom_node.work import WALK_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.config import Settings

_APPLICATION: Final = "lesionmark"
_SQLITE: Final = "sqlite"


def is_shared(settings: Settings) -> bool:
    """Whether several machines may work on the queue."""
    return _configured(settings) != _SQLITE


def lease(settings: Settings) -> Lease:
    """What a worker holds while it works."""
    if is_shared(settings):
        return SessionLease(_url(settings), settings.node.name)
    return FileLease(Path(settings.node.state_dir))


def dbos_config(settings: Settings) -> DBOSConfig:
    """The queue as a worker uses it."""
    return {
        "name": _APPLICATION,
        "system_database_url": _url(settings),
        "application_version": WALK_VERSION,
        "executor_id": settings.node.name,
        "log_level": "WARNING",
        **telemetry.options(settings),
    }


def prepare(settings: Settings) -> None:
    """Make the queue where there is none yet. Raises NodeError where that cannot be."""
    if not is_shared(settings):
        check(_file(settings))
        _file(settings).parent.mkdir(parents=True, exist_ok=True)
    with explained():
        DBOS.migrate(_url(settings))


def connect(settings: Settings) -> DBOSClient:
    """The queue as a process sees it that does not work on it. Raises NodeError."""
    with explained():
        return DBOSClient(
            system_database_url=_url(settings),
            application_name=_APPLICATION,
            retry_connection_errors=False,
        )


@contextmanager
def open_client(settings: Settings) -> Iterator[DBOSClient]:
    """The queue for status and retry. Raises NodeError when there is none, or a damaged one."""
    path = _file(settings)
    if not is_shared(settings) and not path.exists():
        raise NodeError(f"{path}: no node has run with this state_dir yet")
    client = connect(settings)
    try:
        with explained():
            yield client
    except NodeError:
        check(path)
        raise
    finally:
        client.destroy()


@contextmanager
def explained() -> Iterator[None]:
    """Errors of the database become NodeError, without the statement and its values."""
    try:
        yield
    except SQLAlchemyError as error:
        raise NodeError(f"node.database: {_reason(error)}") from error


@contextmanager
def written_down(series_uid: str) -> Iterator[None]:
    """Errors of the database become QueueUnavailable, without the statement and its values."""
    try:
        yield
    except SQLAlchemyError as error:
        raise QueueUnavailable(f"series {series_uid}: {_reason(error)}") from error


def _reason(error: SQLAlchemyError) -> str:
    """The driver's own words; those around them hold the statement and its values."""
    return describe(getattr(error, "orig", None) or error)


def _url(settings: Settings) -> str:
    """A secret. Raises ConfigError when it is not where the configuration says."""
    text = _configured(settings)
    if text == _SQLITE:
        return f"sqlite:///{_file(settings)}"
    text = secret.read("node.database", text)
    if not text.startswith("postgresql://"):
        raise ConfigError("node.database: what it refers to is no postgresql:// address")
    return text


def _configured(settings: Settings) -> str:
    return settings.node.database.get_secret_value()


def _file(settings: Settings) -> Path:
    return Path(settings.node.state_dir) / "work.sqlite"


def check(path: Path) -> None:
    """Raise NodeError, saying what to do, when the SQLite file is damaged.

    A file that is not there is none of that: the queue is rebuilt from the spool.
    """
    if not path.exists():
        return
    fault = _fault(path)
    if fault is not None:
        raise NodeError(
            f"node.state_dir: {path}: damaged: {fault}. Nothing that was received is lost. "
            f"Move {path.name} and everything named {path.name}-* to another folder and start "
            "again: every series in the spool is taken up anew, and what has been delivered is "
            "not sent twice."
        )


def _fault(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(path)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        raise NodeError(f"node.state_dir: {path}: cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found)
