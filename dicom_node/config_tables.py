"""The tables of config.toml, one class each; field names are the keys."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from dicom_node import secret
from plugin import Kind

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]
#: PS3.5 Table 6.2-1: at most 16 characters of the default repertoire, no backslash.
AETitle = Annotated[str, Field(pattern=r"^[ -\[\]-~]{0,15}[!-\[\]-~]$")]
Megabytes = Annotated[int, Field(ge=1, le=1_048_576)]


def _read_network(value: Any) -> Any:
    """An address or a network in CIDR notation."""
    if not isinstance(value, str):
        raise ValueError('must be an address or network, such as "10.1.2.0/24"')  # noqa: TRY004
    return ip_network(value)


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_read_network)]


class Table(BaseModel):
    """What all tables have in common: no key is unknown, nothing is converted or changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Node(Table):
    """[node]: who this node is and where it keeps what it must not lose."""

    name: Name = "lesionmark"
    state_dir: str = "/var/lib/lesionmark"
    database: SecretStr = SecretStr("sqlite")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    stop_within_s: Seconds = 10.0
    analysis_limit_s: Seconds = 1800.0

    @field_validator("database")
    @classmethod
    def _known(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text == "sqlite" or text.startswith(("postgresql://", *secret.ELSEWHERE)):
            return value
        raise ValueError('must be "sqlite", "postgresql://...", "env:NAME" or "file:/PATH"')


class Tls(Table):
    """[listener.tls]: our certificate, and who signs those of the others. PEM files."""

    certificate: str
    key: str
    ca: str


class PeerTls(Tls):
    """[destination.tls], [completion.query.tls]: how we show ourselves to a peer."""

    check_host: bool = True


class QueryPeer(Table):
    """[completion.query], [destination.proof_peer], [listener.sender.report_to]: not sent to."""

    host: str
    port: Port
    ae_title: AETitle
    timeout_s: Seconds = 10.0
    tls: PeerTls | None = None


class Sender(Table):
    """[[listener.sender]]: one application entity that may send, and from where."""

    ae_title: AETitle
    addresses: Annotated[tuple[Network, ...], Field(min_length=1)] = (
        ip_network("127.0.0.0/8"),
        ip_network("::1/128"),
    )
    report_to: QueryPeer | None = None

    @field_validator("addresses", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Listener(Table):
    """[listener]: the Storage and Verification SCP."""

    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AETitle = "LESIONMARK"
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 32
    max_associations_per_address: Annotated[int, Field(ge=1, le=1000)] = 16
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1_048_576)] = 131_072
    handshake_timeout_s: Seconds = 10.0
    idle_timeout_s: Seconds = 60.0
    max_instance_mb: Megabytes = 1024
    max_decoded_mb: Megabytes = 4096
    other_instances: Literal["set-aside", "reject"] = "set-aside"
    disk_reserve_mb: Annotated[int, Field(ge=0)] = 2048
    processes: Annotated[int, Field(ge=0, le=64)] = 0
    sender: Annotated[tuple[Sender, ...], Field(min_length=1)]
    tls: Tls | None = None

    @field_validator("sender", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Completion(Table):
    """[completion]: when a series is whole."""

    quiet_period_s: Seconds = 10.0
    cap_s: Seconds = 900.0
    query: QueryPeer | None = None

    @property
    def first_look_s(self) -> float:
        """Seconds after the end of an association at which to judge first."""
        return 0.0 if self.query else self.quiet_period_s


class PluginTable(Table):
    """[plugin]: which plugin analyses, and its own keys."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    module: str = "plugin.analysis"


class Delivery(Table):
    """[delivery]: how often and how long a destination is tried."""

    first_retry_s: Seconds = 10.0
    longest_retry_s: Seconds = 900.0
    give_up_after_h: Annotated[float, Field(gt=0)] = 72.0
    timeout_s: Seconds = 30.0
    parallel: Annotated[int, Field(ge=1, le=64)] = 4


class Removal(Table):
    """[destination.removal]: how test objects are removed from a destination."""

    by: Literal["orthanc", "dicomweb"]
    url: Annotated[str, Field(pattern=r"^https?://[^/?#@]+[^?#]*$")]
    authorization: SecretStr = SecretStr("")


class Destination(Table):
    """[[destination]]: one Storage SCP that gets every report."""

    name: Name
    host: str
    port: Port
    ae_title: AETitle
    objects: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.REPORT,)
    proof: Literal["none", "storage-commitment", "query"] = "none"
    proof_peer: QueryPeer | None = None
    tls: PeerTls | None = None
    removal: Removal | None = None

    def asked(self, timeout_s: float) -> QueryPeer:
        """Whom to ask whether the objects are kept; `timeout_s` if it is the same peer."""
        return self.proof_peer or self.as_peer(timeout_s)

    def as_peer(self, timeout_s: float) -> QueryPeer:
        """The destination itself."""
        return QueryPeer(
            host=self.host,
            port=self.port,
            ae_title=self.ae_title,
            timeout_s=timeout_s,
            tls=self.tls,
        )

    @field_validator("objects", mode="before")
    @classmethod
    def _kinds(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        names = [kind.value for kind in Kind]
        for name in value:
            if name not in names:
                raise ValueError(f"{name!r} is none of {', '.join(names)}")
        return tuple(Kind(name) for name in value)


class Proof(Table):
    """[proof]: how long a destination has to prove that it keeps what it acknowledged."""

    report_within_s: Seconds = 21600.0
    hold_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    find_within_s: Annotated[float, Field(ge=0)] = 600.0
    resends: Annotated[int, Field(ge=0, le=10)] = 2


class Retention(Table):
    """[retention]: how long pixels stay after every destination has confirmed."""

    keep_h: Annotated[float, Field(ge=0)] = 168.0

    @property
    def keep_s(self) -> float:
        """The same in seconds."""
        return self.keep_h * 3600


class Audit(Table):
    """[audit]: where the audit trail goes (PS3.15 A.5)."""

    to: str = "file"

    @field_validator("to")
    @classmethod
    def _known(cls, value: str) -> str:
        url = urlsplit(value)
        is_network = url.scheme in ("udp", "tcp") and url.hostname and url.port
        if value in ("none", "file") or is_network or (url.scheme == "unix" and url.path):
            return value
        raise ValueError(
            'must be "file", "none", "udp://HOST:PORT", "tcp://HOST:PORT" or "unix:/PATH"'
        )
