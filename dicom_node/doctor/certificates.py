"""Every certificate of the configuration: readable, with its key, and valid for a while yet."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

from dicom_node import tls
from dicom_node.config_tables import PeerTls
from dicom_node.doctor.check import failed, passed, skipped
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.config import Settings
    from dicom_node.config_tables import Tls
    from dicom_node.doctor.check import Check

#: A certificate that ends sooner than this is to be renewed.
RENEW: Final = timedelta(days=30)


def certificates(settings: Settings, now: datetime) -> Iterator[Check]:
    """One check for each TLS table."""
    found = [_check(table, files, now) for table, _, files in tls.uses(settings)]
    yield from found or [skipped("certificates", "no table of the configuration asks for TLS")]


def _check(table: str, files: Tls, now: datetime) -> Check:
    name = f"certificates of {table}"
    try:
        _load(files)
    except ConfigError as error:
        return failed(name, f"{table}.{error}", "correct that file or that key, then try again")
    try:
        ends = {"certificate": _own_end(files), "ca": _ca_end(files)}
    except ssl.SSLCertVerificationError as error:
        advice = f"renew {files.certificate}; see that the clock is right"
        return failed(name, f"{files.certificate}: {error.verify_message}", advice)
    return _judge(name, files, ends, now)


def _load(files: Tls) -> None:
    """As the node does at its start. Raises ConfigError."""
    if isinstance(files, PeerTls):
        tls.client_context(files)
    else:
        tls.server_context(files)


def _judge(name: str, files: Tls, ends: dict[str, datetime], now: datetime) -> Check:
    first = min(ends, key=lambda key: ends[key])
    path, end = getattr(files, first), ends[first]
    if end <= now:
        return failed(name, f"{path}: has expired on {end:%Y-%m-%d}", f"renew {path}")
    if end - now < RENEW:
        return failed(name, f"{path}: expires on {end:%Y-%m-%d}", f"renew {path} before that day")
    return passed(name, f"{files.certificate} and its key; valid until {end:%Y-%m-%d}")


def _own_end(files: Tls) -> datetime:
    """When our certificate ends: told in a handshake with ourselves that trusts nothing else.

    Raises SSLCertVerificationError when it is not valid at this moment.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be that of a CA
    client.load_verify_locations(cafile=files.certificate)
    return _end(_shake_hands(server, client))


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, object]:
    """The certificate of `server` as `client` takes it; without a network."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs, ours):  # hello; certificate; verdict
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return cast("dict[str, object]", ours.getpeercert() or {})


def _ca_end(files: Tls) -> datetime:
    """When the last of the CAs ends that we trust: until then some peer can be let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=files.ca)
    known = cast("list[dict[str, object]]", context.get_ca_certs())
    return max((_end(each) for each in known), default=datetime.max.replace(tzinfo=UTC))


def _end(certificate: dict[str, object]) -> datetime:
    seconds = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return datetime.fromtimestamp(seconds, UTC)
