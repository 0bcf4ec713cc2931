"""The table [harvest] of config.toml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from dicom_node.config_tables import AETitle, Port, QueryPeer, Sender, Table, Tls
from dicom_node.hours import Hours

PerMinute = Annotated[float, Field(gt=0)]


class HarvestDestination(Table):
    """[harvest.destination]: where the archive sends to when it is asked by C-MOVE."""

    host: str = "127.0.0.1"
    port: Port = 11113
    ae_title: AETitle = "LESIONMARK_MOVE"
    sender: Annotated[tuple[Sender, ...], Field(min_length=1)]
    tls: Tls | None = None

    @field_validator("sender", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Harvest(Table):
    """[harvest]: how `lesionmark harvest` asks an archive for radiologists' bookmarks."""

    ae_title: AETitle = "LESIONMARK"
    by: Literal["get", "move"] = "get"
    hours: str = "00:00-24:00"
    associations_per_minute: PerMinute = 60.0
    instances_per_minute: PerMinute = 3000.0
    most_answers: Annotated[int, Field(ge=0)] = 0
    slices_around: Annotated[int, Field(ge=0)] = 30
    peer: QueryPeer | None = None
    destination: HarvestDestination | None = None

    @field_validator("hours")
    @classmethod
    def _readable(cls, value: str) -> str:
        Hours.parse(value)
        return value
