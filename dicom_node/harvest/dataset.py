"""The plugin's package that makes the data set: imported only here, and only when asked for."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_node.durable import write_durably
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PACKAGE: Final = "plugin.datasets.harvested"
#: File in the private folder; whoever has it can tell whose data these are.
SECRET: Final = "secret"
_SECRET_BYTES: Final = 32


class Outcome(Protocol):
    """What one study gave."""

    @property
    def new(self) -> int:
        """Bookmarks that entered the data set."""
        ...

    @property
    def known(self) -> int:
        """Bookmarks that were there already."""
        ...

    @property
    def left_out(self) -> Sequence[Any]:
        """What did not enter, each with its `instance` and `reason`."""
        ...


class Dataset(Protocol):
    """What a harvest fills."""

    def add_study(self, paths: Sequence[Path]) -> Outcome:
        """Add the bookmarks of one study; each enters once, however often it comes."""
        ...

    def finish(self) -> Any:
        """Write the tables; gives a summary."""
        ...


@dataclass(frozen=True)
class Marks:
    """Where the bookmarks of people lie in some objects."""

    #: How many there are.
    count: int
    #: SOP Instance UIDs of their images by Series Instance UID.
    images: dict[str, set[str]]


def marks_of_people(objects: Sequence[Path]) -> Marks:
    """Read bookmark objects. What was made by a program, or cannot be read, counts nothing."""
    count, images = _module("sources").scout(objects)
    return Marks(count, images)


def private_folder(target: Path) -> Path:
    """The folder beside a data set that must not be handed on with it."""
    suffix: str = _module("builder").PRIVATE
    return target.with_name(target.name + suffix)


@contextmanager
def open_dataset(target: Path) -> Iterator[Dataset]:
    """The data set, begun or gone on with. Raises NodeError where that is not possible.

    So does what is done with it, when it cannot be written.
    """
    secret = _secret(private_folder(target))
    errors = _module("errors")
    faults: tuple[type[Exception], ...] = (errors.InvalidDataset, errors.Unwritable)
    try:
        with import_module(_PACKAGE).Builder(target, secret) as builder:
            yield builder
    except faults as error:
        raise NodeError(str(error)) from error


def _secret(folder: Path) -> bytes:
    """The secret of a data set, made when it is begun; durable before it is used."""
    path = folder / SECRET
    if not path.exists():
        write_durably(path, secrets.token_bytes(_SECRET_BYTES))
    os.chmod(path, 0o600)  # noqa: PTH101
    return path.read_bytes()


def _module(name: str) -> Any:
    try:
        return import_module(f"{_PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        raise NodeError(
            f"{error.name} is not installed: pip install 'lesionmark[training]'"
        ) from error
