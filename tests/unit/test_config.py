from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from dicom_node.config import Settings, load, parse
from dicom_node.config_doctor import Doctor
from dicom_node.config_harvest import HarvestDestination
from dicom_node.config_tables import PeerTls, QueryPeer, Removal, Sender, Tls
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

SHIPPED = Path(__file__).parents[2] / "config.toml"

MINIMAL = """
[[listener.sender]]
ae_title = "SCANNER"
addresses = ["10.1.2.0/24"]
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
        ('"SCANNER"', '"a\\\\b"', "listener.sender[1].ae_title: String should match"),
        ('["10.1.2.0/24"]', "[]", "listener.sender[1].addresses: Tuple should have at least 1"),
        ('"10.1.2.0/24"', '"10.1.2.3/24"', "listener.sender[1].addresses[1]: 10.1.2.3/24 has host"),
        ('"10.1.2.0/24"', '"PACS"', "listener.sender[1].addresses[1]: 'PACS' does not appear"),
        ('"10.1.2.0/24"', "10", "listener.sender[1].addresses[1]: must be an address or network"),
        ("[[listener.sender]]", "[[listner.sender]]", "listner: there is no such key"),
        ("[[listener.sender]]", "[[listener.sender", "is not TOML"),
        ("[[listener.sender]]", '[audit]\nto = "x"\n[[listener.sender]]', "audit.to: must be"),
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


def test_one_fault_is_named_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse(MINIMAL.replace("10.1.2.0/24", "10.1.2.3/24"))
    assert len(str(error.value).splitlines()) == 1


def test_a_sender_without_addresses_sends_from_this_machine_only() -> None:
    settings = parse(MINIMAL.replace('addresses = ["10.1.2.0/24"]', ""))
    assert [str(network) for network in settings.listener.sender[0].addresses] == [
        "127.0.0.0/8",
        "::1/128",
    ]


@pytest.mark.parametrize("to", ["none", "file", "udp://h:514", "tcp://[::1]:601", "unix:/dev/log"])
def test_the_audit_trail_goes_to_places_of_these_kinds(to: str) -> None:
    assert parse(MINIMAL + f'[audit]\nto = "{to}"\n').audit.to == to


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
            assert shown[key] == _plain(field.default), f"{table}.{key}"
        else:
            assert key in shown, f"{table}.{key}"


def _plain(default: Any) -> Any:
    if isinstance(default, tuple):
        return list(default)
    return default.get_secret_value() if isinstance(default, SecretStr) else default


def test_the_shipped_file_explains_every_key() -> None:
    for line in SHIPPED.read_text().splitlines():
        if "=" in line.split("#")[0]:
            assert "# " in line.split("=", 1)[1], f"no comment: {line}"


@pytest.mark.parametrize(
    ("table", "model"),
    [
        ("completion.query", QueryPeer),
        ("listener.sender.report_to", QueryPeer),
        ("listener.tls", Tls),
        ("destination.tls", PeerTls),
        ("destination.removal", Removal),
        ("doctor.tls", PeerTls),
        ("harvest.peer", QueryPeer),
        ("harvest.destination", HarvestDestination),
    ],
)
def test_the_shipped_file_shows_optional_tables(table: str, model: type[BaseModel]) -> None:
    commented = SHIPPED.read_text().split(f"# [{table}]")[1].split("\n\n")[0]
    assert all(
        f"# {key} = " in commented for key in model.model_fields if key not in ("tls", "sender")
    )


def test_the_shipped_file_shows_a_sender_with_its_defaults() -> None:
    shown, of_doctor = tomllib.loads(SHIPPED.read_text())["listener"]["sender"]
    assert Sender.model_validate(shown).addresses == Sender(ae_title="A").addresses
    assert set(shown) == set(Sender.model_fields) - {"report_to"}
    assert of_doctor["ae_title"] == Doctor().ae_title


def _plain_fields(model: type[BaseModel]) -> dict[str, Any]:
    tables = {"query", "tls", "peer", "destination"}
    return {key: field for key, field in model.model_fields.items() if key not in tables}


@pytest.mark.parametrize("value", ["mysql://reader:hunter2@db/x", "hunter2"])
def test_no_message_repeats_a_database_address(value: str) -> None:
    text = SHIPPED.read_text().replace('database = "sqlite"', f'database = "{value}"')
    with pytest.raises(ConfigError, match=r'^node\.database: must be "sqlite"') as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)
