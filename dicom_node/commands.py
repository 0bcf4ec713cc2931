"""What each subcommand does; returns the exit status."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn
from rich.table import Table

import plugin
from dicom_node import (
    config,
    config_tables,
    database,
    delivery,
    folder,
    resume,
    service,
    telemetry,
    tls,
)
from dicom_node.ledger import Ledger
from dicom_node.spool import Shelf, Spool
from dicom_node.web.access import read_token
from plugin import bookmark

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable
    from pathlib import Path

    from dicom_node.requestor import Peer
    from dicom_node.standing import SeriesStatus
    from plugin import Analysis, Bookmark, Series

OK, FAILED = 0, 1

out = Console()
#: Progress and remarks; silent progress where nobody watches.
err = Console(stderr=True)


@dataclass(frozen=True)
class _Peer:
    host: str
    port: int
    ae_title: str
    tls: config_tables.PeerTls | None = None


def check_config(arguments: Namespace) -> int:
    """Say that the configuration is right, or what is wrong with it."""
    settings = config.load(arguments.config)
    tls.check(settings)
    telemetry.check(settings)
    read_token(settings.web)
    service.load_plugin(settings)
    out.print(f"{arguments.config}: right", soft_wrap=True)
    return OK


def analyse(arguments: Namespace) -> int:
    """Analyse a folder without a network."""
    contents = folder.scan(arguments.folder)
    analyser = _plugin(arguments.config)
    results: list[tuple[Series, Analysis]] = []
    with _progress() as progress:
        for series in progress.track(contents.series, description="analysing"):
            analysis = _analyse_one(analyser, series)
            if analysis is not None:
                results.append((series, analysis))
    _write_results(arguments, [analysis for _, analysis in results])
    for series, analysis in results:
        _print_bookmarks(series.series_instance_uid, analysis.bookmarks)
    return OK if results else FAILED


def send(arguments: Namespace) -> int:
    """Send a folder by C-STORE, each instance as it is encoded."""
    contents = folder.scan(arguments.folder)
    for path in contents.others:
        err.print(f"{path}: not a DICOM instance, left out", soft_wrap=True)
    peer = _Peer(arguments.host, arguments.port, arguments.called)
    with _progress() as progress:
        bar = progress.add_task("sending", total=len(contents.instances))
        sent = delivery.send(
            [(path,) for path in contents.instances],
            peer,
            arguments.calling,
            timeout_s=arguments.timeout,
            on_sent=lambda _: progress.advance(bar),
        )
    return _print_sent(peer, sent)


def echo(arguments: Namespace) -> int:
    """C-ECHO to one peer, or to every destination of the configuration."""
    if arguments.host is not None:
        peers: Iterable[Peer] = [_Peer(arguments.host, arguments.port, arguments.called)]
    else:
        peers = config.load(arguments.config).destination
    answers = [
        _print_sent(peer, delivery.echo(peer, arguments.calling, timeout_s=arguments.timeout))
        for peer in peers
    ]
    return max(answers)


def status(arguments: Namespace) -> int:
    """Every series and where it stands."""
    settings = config.load(arguments.config)
    with database.open_client(settings) as client:
        ledger = Ledger(client)
        found = ledger.of(arguments.series) if arguments.series else ledger.newest(arguments.last)
    if arguments.json:
        sys.stdout.write(json.dumps([_status_record(s) for s in found], indent=1) + "\n")
    else:
        out.print(_status_table(found))
        _print_shelves(service.open_spool(settings))
    return OK


def retry(arguments: Namespace) -> int:
    """Take up what failed or waits."""
    settings = config.load(arguments.config)
    with database.open_client(settings) as client:
        lines = resume.retry(client, arguments.series, time.time())
    for line in lines or ["nothing has failed, nothing waits"]:
        out.print(line, soft_wrap=True)
    return OK


def _progress() -> Progress:
    """Shows that work goes on, where a person watches."""
    columns = (SpinnerColumn(), *Progress.get_default_columns(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _plugin(path: Path) -> plugin.Plugin:
    """The plugin of the configuration, or the one for CT where there is no such file."""
    if path.exists():
        return service.load_plugin(config.load(path))
    return plugin.load(config_tables.PluginTable().model_dump() | {"objects": [plugin.Kind.REPORT]})


def _analyse_one(analyser: plugin.Plugin, series: Series) -> Analysis | None:
    uid = series.series_instance_uid
    if not analyser.accepts(series):
        err.print(f"series {uid}: not for this plugin", soft_wrap=True)
        return None
    try:
        analysis = analyser.analyse(series, None, datetime.now(UTC).astimezone())
    except plugin.UnsuitableSeries as error:
        err.print(f"series {uid}: {error}", soft_wrap=True)
        return None
    for remark in analysis.remarks:
        err.print(f"series {uid}: {remark}", soft_wrap=True)
    return analysis


def _write_results(arguments: Namespace, analyses: list[Analysis]) -> None:
    if arguments.json is not None:
        records = [bookmark.to_record(b) for analysis in analyses for b in analysis.bookmarks]
        arguments.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    if arguments.report is not None:
        for number, analysis in enumerate(analyses, start=1):
            path = _numbered(arguments.report, number, len(analyses))
            analysis.objects[0].dataset.save_as(path, enforce_file_format=True)
            err.print(f"report: {path}", soft_wrap=True)


def _numbered(path: Path, number: int, total: int) -> Path:
    """`path` for the only report, else path-1, path-2 and so on."""
    return path if total == 1 else path.with_stem(f"{path.stem}-{number}")


def _print_bookmarks(series_uid: str, bookmarks: tuple[Bookmark, ...]) -> None:
    count = f"{len(bookmarks)} lesions" if bookmarks else "no lesion above the threshold"
    out.print(f"series {series_uid}: {count}", soft_wrap=True)
    if bookmarks:
        out.print(_bookmark_table(bookmarks))


def _bookmark_table(bookmarks: tuple[Bookmark, ...]) -> Table:
    table = Table()
    for name in ("lesion", "site", "long x short mm", "score", "key slice", "box"):
        table.add_column(name, justify="left" if name == "site" else "right")
    for number, found in enumerate(bookmarks, start=1):
        table.add_row(
            str(number),
            found.lesion_type,
            f"{found.long_axis_mm:.1f} x {found.short_axis_mm:.1f}",
            f"{found.score:.2f}",
            str(found.slice_index),
            ", ".join(f"{edge:.0f}" for edge in found.box),
        )
    return table


def _status_table(statuses: list[SeriesStatus]) -> Table:
    table = Table("since", "series", "state", "reason", "destinations")
    for found in statuses:
        since = datetime.fromtimestamp(found.since).astimezone()
        where = "\n".join(f"{d.id.destination}: {d.state} ({d.reason})" for d in found.deliveries)
        table.add_row(
            f"{since:%Y-%m-%d %H:%M:%S}", found.series_uid, found.state, found.reason, where
        )
    return table


def _print_shelves(spool: Spool) -> None:
    """What the node keeps but will not analyse."""
    for shelf, what in ((Shelf.ASIDE, "series set aside"), (Shelf.QUARANTINE, "unreadable files")):
        count = spool.count(shelf)
        if count:
            out.print(f"{count} {what} in {spool.root / shelf}", soft_wrap=True)


def _status_record(found: SeriesStatus) -> dict[str, Any]:
    return {
        "series_instance_uid": found.series_uid,
        "revision": found.analysis.digest if found.analysis else None,
        "state": found.state.value,
        "reason": found.reason,
        "since": found.since,
        "deliveries": [
            {"destination": d.id.destination, "state": d.state.value, "reason": d.reason}
            for d in found.deliveries
        ],
    }


def _print_sent(peer: Peer, sent: delivery.Sent) -> int:
    out.print(f"{peer.ae_title} at {peer.host}:{peer.port}: {sent.reason}", soft_wrap=True)
    return OK if sent.outcome is delivery.Outcome.ACKNOWLEDGED else FAILED
