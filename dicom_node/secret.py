"""Secrets of config.toml: written there, or in a variable or a file that it names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dicom_node.errors import ConfigError

_VARIABLE: Final = "env:"
_FILE: Final = "file:"
#: How a value begins that says where the secret is.
ELSEWHERE: Final = (_VARIABLE, _FILE)


def read(key: str, text: str) -> str:
    """The secret itself; empty when the variable that `text` names is not set.

    Raises ConfigError, naming the key, when the file that it names cannot be read.
    """
    if text.startswith(_VARIABLE):
        return os.environ.get(text.removeprefix(_VARIABLE), "")
    if text.startswith(_FILE):
        return _first_line(key, Path(text.removeprefix(_FILE)))
    return text


def _first_line(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {error.strerror}") from error
