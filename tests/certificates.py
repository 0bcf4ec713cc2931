"""Certificates for tests, made on the fly with the openssl command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


@dataclass(frozen=True)
class Keys:
    """A certificate, its key, and what has signed it, as PEM files."""

    certificate: Path
    key: Path
    ca: Path

    @property
    def table(self) -> dict[str, str]:
        """The keys of a TLS table in config.toml."""
        return {"certificate": str(self.certificate), "key": str(self.key), "ca": str(self.ca)}


class Authority:
    """A CA of its own."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={name}",
            "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name: str, *, names: str = "DNS:localhost,IP:127.0.0.1") -> Keys:
        """A certificate for a host of these names."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", self.certificate, "-CAkey", self._key, "-keyout", key, "-out", certificate,
        )  # fmt: skip
        return Keys(certificate, key, self.certificate)


def protect(key: Path, password: str) -> Path:
    """The same key, under a password."""
    protected = key.with_suffix(".protected")
    _openssl("pkcs8", "-topk8", "-in", key, "-out", protected, "-passout", f"pass:{password}")
    return protected


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


_CA_OF_THE_PAST = """\
[ca]
default_ca = past
[past]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def expired(folder: Path) -> Keys:
    """A certificate that ended years ago, signed by itself."""
    folder.mkdir(parents=True)
    (folder / "index.txt").write_text("")
    (folder / "ca.cnf").write_text(_CA_OF_THE_PAST.format(folder=folder))
    request, key, certificate = (folder / f"old.{kind}" for kind in ("csr", "key", "pem"))
    _openssl("req", *_NEW_KEY, "-subj", "/CN=old", "-keyout", key, "-out", request)
    _openssl(
        "ca", "-batch", "-notext", "-selfsign", "-config", folder / "ca.cnf", "-keyfile", key,
        "-startdate", "20200101000000Z", "-enddate", "20210101000000Z",
        "-in", request, "-out", certificate,
    )  # fmt: skip
    return Keys(certificate, key, certificate)
