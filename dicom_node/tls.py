"""TLS for both directions: TLS 1.2 or later, both sides with a certificate (PS3.15 B.12)."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.config import Settings
    from dicom_node.config_tables import PeerTls, Tls

#: What RFC 9325 4.2 recommends for TLS 1.2; the suites of TLS 1.3 are all good.
_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)


@cache
def server_context(tls: Tls) -> ssl.SSLContext:
    """For the listener: a peer must show a certificate that `tls.ca` has signed.

    Raises ConfigError, naming the key within the table.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, tls)


@cache
def client_context(tls: PeerTls) -> ssl.SSLContext:
    """For associations that we request. Raises ConfigError, naming the key within the table."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, tls)
    context.check_hostname = tls.check_host
    return context


def check(settings: Settings) -> None:
    """Load every certificate of the configuration, so that what is wrong is known at start.

    Raises ConfigError, naming the key.
    """
    for table, tls in _peers(settings):
        with _named(table):
            client_context(tls)
    if settings.listener.tls is not None:
        with _named("listener.tls"):
            server_context(settings.listener.tls)


def _context(protocol: ssl._SSLMethod, tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(_SUITES))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    _load_ca(context, "ca", tls.ca)
    # Alone first, because the library does not say which of the two files it cannot read.
    _load_ca(ssl.SSLContext(protocol), "certificate", tls.certificate)
    _load_own(context, tls)
    return context


def _load_ca(context: ssl.SSLContext, key: str, name: str) -> None:
    _require_readable(key, name)
    try:
        context.load_verify_locations(cafile=name)
    except ssl.SSLError as error:
        raise ConfigError(f"{key}: {name}: holds no certificate in PEM") from error


def _load_own(context: ssl.SSLContext, tls: Tls) -> None:
    _require_readable("key", tls.key)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"key: {tls.key}: does not belong to {tls.certificate}") from error
        raise ConfigError(f"key: {tls.key}: holds no private key in PEM") from error


def _refuse_password() -> str:
    # Without this the library would ask at the terminal, and wait.
    raise ConfigError("key: is protected by a password, which nobody can type at start")


def _require_readable(key: str, name: str) -> None:
    try:
        with Path(name).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{key}: {name}: cannot be read: {error.strerror}") from error


def _peers(settings: Settings) -> Iterator[tuple[str, PeerTls]]:
    query = settings.completion.query
    if query is not None and query.tls is not None:
        yield "completion.query.tls", query.tls
    for number, destination in enumerate(settings.destination, start=1):
        if destination.tls is not None:
            yield f"destination[{number}].tls", destination.tls
        if destination.proof_peer is not None and destination.proof_peer.tls is not None:
            yield f"destination[{number}].proof_peer.tls", destination.proof_peer.tls


@contextmanager
def _named(table: str) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{table}.{error}") from error
