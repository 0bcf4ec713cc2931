"""What is wrong with certificates is said by the key of the configuration."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from dicom_node import tls
from dicom_node.config import parse
from dicom_node.errors import ConfigError
from tests.certificates import Authority, Keys, protect

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = """
[[listener.sender]]
ae_title = "PACS"
{listener}
[[destination]]
name = "pacs"
host = "127.0.0.1"
port = 104
ae_title = "PACS"
{destination}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    return Authority(folder).issue("node")


def table(name: str, **files: object) -> str:
    return f"[{name}]\n" + "".join(f'{key} = "{path}"\n' for key, path in files.items())


def complaint(where: str, **files: object) -> str:
    """What `check` says of a configuration with this TLS table."""
    tables = {"listener": "", "destination": ""} | {where: table(f"{where}.tls", **files)}
    with pytest.raises(ConfigError) as error:
        tls.check(parse(MINIMAL.format(**tables)))
    return str(error.value)


def test_right_certificates_are_right(keys: Keys) -> None:
    text = MINIMAL.format(
        listener=table("listener.tls", **keys.table),
        destination=table("destination.tls", **keys.table),
    )
    settings = parse(text)
    tls.check(settings)
    assert settings.listener.tls is not None
    context = tls.server_context(settings.listener.tls)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    suites = {suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.2"}
    assert suites == {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    }


@pytest.mark.parametrize("key", ["certificate", "key", "ca"])
def test_a_missing_file_is_named(keys: Keys, key: str) -> None:
    said = complaint("listener", **keys.table | {key: "/absent.pem"})
    assert said == f"listener.tls.{key}: /absent.pem: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("certificate", "holds no certificate in PEM"),
        ("key", "holds no private key in PEM"),
        ("ca", "holds no certificate in PEM"),
    ],
)
def test_a_file_of_another_kind_is_named(keys: Keys, folder: Path, key: str, fault: str) -> None:
    (folder / "text").write_text("no PEM")
    said = complaint("destination", **keys.table | {key: folder / "text"})
    assert said == f"destination[1].tls.{key}: {folder}/text: {fault}"


def test_the_key_of_another_certificate_is_named(keys: Keys, folder: Path) -> None:
    other = Authority(folder / "other").issue("other")
    said = complaint("listener", **keys.table | {"key": other.key})
    assert f"listener.tls.key: {other.key}: does not belong to {keys.certificate}" in said


def test_a_key_under_a_password_is_named_and_nobody_is_asked(keys: Keys) -> None:
    said = complaint("listener", **keys.table | {"key": protect(keys.key, "secret")})
    assert "listener.tls.key: is protected by a password" in said


def test_the_files_of_every_table_are_read(keys: Keys) -> None:
    """Those of peers that are only asked, too."""
    peer = '[{0}]\nhost = "pacs"\nport = 104\nae_title = "PACS"\n'
    for name in ("destination.proof_peer", "completion.query"):
        wrong = peer.format(name) + table(f"{name}.tls", **keys.table | {"ca": "/absent.pem"})
        with pytest.raises(ConfigError) as error:
            tls.check(parse(MINIMAL.format(listener="", destination=wrong)))
        where = name.replace("destination", "destination[1]")
        assert str(error.value).startswith(f"{where}.tls.ca: /absent.pem")
