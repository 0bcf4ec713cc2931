from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dicom_node.config import QueryPeer, Settings, load, parse
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

SHIPPED = Path(__file__).parents[2] / "config.toml"

MINIMAL = """
[listener]
calling_ae_titles = ["PACS"]
[[destination]]
name = "pacs"
host = "127.0.0.1"
port = 104
ae_title = "PACS"
"""


def test_what_is_left_out_has_a_default() -> None:
    settings = parse(MINIMAL)
    assert settings.listener.port == 11112
    assert settings.destination[0].port == 104
    assert settings.completion.query is None


@pytest.mark.parametrize(
    ("line", "replacement", "complaint"),
    [
        ("port = 104", "port = 70000", "destination[1].port: Input should be less than or equal"),
        ("port = 104", "port = 70000", "(it is 70000)"),
        ("port = 104", 'port = "104"', "destination[1].port: Input should be a valid integer"),
        ("port = 104", "prot = 104", "destination[1].prot: there is no such key"),
        ("port = 104", "", "destination[1].port: is missing"),
        ('name = "pacs"', 'name = "../x"', "destination[1].name: String should match pattern"),
        ('ae_title = "PACS"', 'ae_title = " "', "destination[1].ae_title: String should match"),
        ('ae_title = "PACS"', f'ae_title = "{"A" * 17}"', "destination[1].ae_title: String"),
        ('["PACS"]', "[]", "listener.calling_ae_titles: Tuple should have at least 1 item"),
        ('["PACS"]', '["a\\\\b"]', "listener.calling_ae_titles[1]: String should match"),
        ("[listener]", "[listner]", "listner: there is no such key"),
        ("[listener]", "[listener", "is not TOML"),
        (
            "[[destination]]",
            '[[destination]]\nname = "pacs"\nhost = "h"\nport = 1\nae_title = "A"\n[[destination]]',
            "destination: the name 'pacs' is used 2 times",
        ),
    ],
)
def test_an_error_names_the_key(line: str, replacement: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(MINIMAL.replace(line, replacement))
    assert complaint in str(error.value)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse(MINIMAL.replace("port = 104", "port = 0") + "[retention]\nkeep_h = -1\n")
    assert "destination[1].port" in str(error.value)
    assert "retention.keep_h" in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load(tmp_path / "absent.toml")


def test_the_shipped_file_is_right() -> None:
    assert load(SHIPPED).destination[0].name == "pacs"


@pytest.mark.parametrize("table", [name for name in Settings.model_fields if name != "destination"])
def test_the_shipped_file_shows_every_key_with_its_default(table: str) -> None:
    shown = tomllib.loads(SHIPPED.read_text())[table]
    model: Any = Settings.model_fields[table].annotation
    for key, field in _plain_fields(model).items():
        if not field.is_required():
            assert shown[key] == field.default, f"{table}.{key}"
        else:
            assert key in shown, f"{table}.{key}"


def test_the_shipped_file_explains_every_key() -> None:
    for line in SHIPPED.read_text().splitlines():
        if "=" in line.split("#")[0]:
            assert "# " in line.split("=", 1)[1], f"no comment: {line}"


def test_the_shipped_file_shows_the_query_peer() -> None:
    commented = SHIPPED.read_text().split("# [completion.query]")[1].split("[plugin]")[0]
    assert all(f"# {key} = " in commented for key in QueryPeer.model_fields)


def _plain_fields(model: type[BaseModel]) -> dict[str, Any]:
    return {key: field for key, field in model.model_fields.items() if key != "query"}
