"""The table [web]: no page for strangers without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dicom_node import config
from dicom_node.errors import ConfigError
from dicom_node.web.access import read_token

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.config_web import Web

MINIMAL = """\
[[listener.sender]]
ae_title = "S"
[[destination]]
name = "pacs"
host = "localhost"
port = 104
ae_title = "P"
[web]
"""


def web(table: str) -> Web:
    return config.parse(MINIMAL + table).web


@pytest.mark.parametrize(
    "table",
    [
        "",
        'host = "::1"',
        'host = "localhost"',
        'host = "127.8.8.8"',
        'host = "0.0.0.0"\nport = 0',
        'host = "0.0.0.0"\ntoken = "0123456789abcdef"',
        'host = "10.0.0.7"\ntoken = "env:PAGE_TOKEN"',
        'host = "node.example.org"\ntoken = "file:/nowhere"',
    ],
)
def test_a_page_for_this_machine_or_with_a_token(table: str) -> None:
    assert web(table).patient_names == "on-request"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "node.example.org", ""])
def test_no_page_for_others_without_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match=r"^web\.token: must be set, because web\.host is"):
        web(f'host = "{host}"')


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('token = "too short"', "web.token"),
        ("port = 65536", "web.port"),
        ("port = -1", "web.port"),
        ('patient_names = "always"', "web.patient_names"),
        ('names = ["a/b"]', "web.names"),
        ('names = "a"', "web.names"),
        ("tokens = 1", "web.tokens"),
    ],
)
def test_a_wrong_key_is_named(table: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")) as caught:
        web(table)
    assert "too short" not in str(caught.value)


def test_a_token_is_read_from_where_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("a token in a file\n")
    monkeypatch.setenv("PAGE_TOKEN", "a token in a variable")
    assert read_token(web(f'token = "file:{tmp_path}/token"')) == "a token in a file"
    assert read_token(web('token = "env:PAGE_TOKEN"')) == "a token in a variable"
    assert read_token(web('token = "a token as it is"')) == "a token as it is"
    assert read_token(web("")) == ""


@pytest.mark.parametrize("text", ["", "short\n"])
def test_a_token_that_is_not_there_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    for token in (f"file:{tmp_path}/token", f"file:{tmp_path}/none", "env:LESIONMARK_NO_TOKEN"):
        with pytest.raises(ConfigError, match=r"^web\.token: "):
            read_token(web(f'token = "{token}"'))
