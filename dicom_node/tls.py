"""TLS for both directions: TLS 1.2 or later, both sides with a certificate (PS3.15 B.12)."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dicom_node.config_tables import PeerTls
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.config import Settings
    from dicom_node.config_tables import Tls

#: What RFC 9325 4.2 recommends for TLS 1.2; the suites of TLS 1.3 are all good.
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)


class _Peer(Protocol):
    """A table that says how to reach a peer."""

    @property
    def tls(self) -> PeerTls | None:
        """How it is secured, if it is."""
        ...


#: What is in use, by purpose and by the files that it was read from.
_contexts: dict[tuple[ssl._SSLMethod, Tls], ssl.SSLContext] = {}


def server_context(tls: Tls) -> ssl.SSLContext:
    """For the listener: a peer must show a certificate that `tls.ca` has signed.

    Raises ConfigError, naming the key within the table.
    """
    return _known(ssl.PROTOCOL_TLS_SERVER, tls)


def client_context(tls: PeerTls) -> ssl.SSLContext:
    """For associations that we request. Raises ConfigError, naming the key within the table."""
    return _known(ssl.PROTOCOL_TLS_CLIENT, tls)


def check(settings: Settings) -> None:
    """Read every certificate of the configuration anew, so that what is wrong is known at once.

    From now on they are used as they were read here. Raises ConfigError, naming the key; then
    those read before stay in use.
    """
    fresh = {}
    for table, protocol, tls in uses(settings):
        with _named(table):
            fresh[protocol, tls] = _context(protocol, tls)
    _contexts.update(fresh)


def _known(protocol: ssl._SSLMethod, tls: Tls) -> ssl.SSLContext:
    if (protocol, tls) not in _contexts:
        _contexts[protocol, tls] = _context(protocol, tls)
    return _contexts[protocol, tls]


def _context(protocol: ssl._SSLMethod, tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    _load_ca(context, "ca", tls.ca)
    # Alone first, because the library does not say which of the two files it cannot read.
    _load_ca(ssl.SSLContext(protocol), "certificate", tls.certificate)
    _load_own(context, tls)
    if isinstance(tls, PeerTls):
        context.check_hostname = tls.check_host
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


def uses(settings: Settings) -> Iterator[tuple[str, ssl._SSLMethod, Tls]]:
    """Every TLS table of the configuration by its name there, with what it is for."""
    if settings.listener.tls is not None:
        yield "listener.tls", ssl.PROTOCOL_TLS_SERVER, settings.listener.tls
    moved_to = settings.harvest.destination
    if moved_to is not None and moved_to.tls is not None:
        yield "harvest.destination.tls", ssl.PROTOCOL_TLS_SERVER, moved_to.tls
    for table, tls in _peers(settings):
        yield table, ssl.PROTOCOL_TLS_CLIENT, tls


def _peers(settings: Settings) -> Iterator[tuple[str, PeerTls]]:
    peers: list[tuple[str, _Peer | None]] = [
        ("doctor", settings.doctor),
        ("completion.query", settings.completion.query),
        ("harvest.peer", settings.harvest.peer),
    ]
    for number, sender in enumerate(settings.listener.sender, start=1):
        peers.append((f"listener.sender[{number}].report_to", sender.report_to))
    for number, destination in enumerate(settings.destination, start=1):
        peers.append((f"destination[{number}]", destination))
        peers.append((f"destination[{number}].proof_peer", destination.proof_peer))
    for table, peer in peers:
        if peer is not None and peer.tls is not None:
            yield f"{table}.tls", peer.tls


@contextmanager
def _named(table: str) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{table}.{error}") from error
