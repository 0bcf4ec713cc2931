"""The command `lesionmark`: one subcommand for each thing a person does with a node."""

from __future__ import annotations

import sys
import tomllib
from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node import administer, commands, handing_over, logs, serving
from dicom_node.config_tables import Node
from dicom_node.conformance.command import conformance
from dicom_node.doctor.command import doctor
from dicom_node.errors import ConfigError, NodeError
from dicom_node.harvest.arguments import add_arguments
from dicom_node.harvest.command import harvest
from dicom_node.service import Role

if TYPE_CHECKING:
    from argparse import Namespace, _SubParsersAction
    from collections.abc import Callable, Sequence

_CONFIG = Path("/etc/lesionmark/config.toml")
#: Exit status for a wrong configuration or command line, as argparse has it.
_WRONG_USE = 2

_ABOUT = """\
A DICOM node that finds lesions in CT series, measures them and reports them to the PACS.
Research use only, not for clinical decisions."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status."""
    arguments = _parse(argv)
    logs.to_stderr(*_log_keys(arguments.config))
    try:
        status: int = arguments.run(arguments)
    except ConfigError as error:
        return _complain(error, _WRONG_USE)
    except NodeError as error:
        return _complain(error, commands.FAILED)
    return status


def _parse(argv: Sequence[str] | None) -> Namespace:
    """The arguments; what a subcommand hands over to a package of its own is in `rest`."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and not arguments.hands_over:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    return arguments


def _complain(error: NodeError, status: int) -> int:
    sys.stderr.write(f"lesionmark: {error}\n")
    return status


def _log_keys(path: Path) -> tuple[str, str]:
    """Level and style of a file that can be read; what is wrong with it is said later."""
    try:
        node = tomllib.loads(path.read_text(encoding="utf-8"))["node"]
        keys = Node(**{key: node[key] for key in ("log_level", "log_format") if key in node})
    except (OSError, ValueError, KeyError, TypeError):
        keys = Node()
    return keys.log_level, keys.log_format


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "lesionmark", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config", type=Path, default=_CONFIG, metavar="FILE", help=f"default: {_CONFIG}"
    )
    parser.set_defaults(hands_over=False)
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(subcommands)
    _add(subcommands, serving.reload, "let the running node take over the configuration")
    _add(subcommands, commands.check_config, "say what is wrong with the configuration")
    _add_doctor(subcommands)
    _add_conformance(subcommands)
    add_arguments(_add(subcommands, harvest, "radiologists' bookmarks into a data set"))
    _add_analyse(subcommands)
    _add_send(subcommands)
    _add_echo(subcommands)
    _add_status(subcommands)
    _add_retry(subcommands)
    _add_service(subcommands)
    _add_handed_over(subcommands, handing_over.train, "train a detector, or go on with it")
    _add_handed_over(subcommands, handing_over.evaluate, "judge the detector on marked scans")
    _add_handed_over(subcommands, handing_over.compare, "the AI's bookmarks against radiologists'")
    _add_handed_over(subcommands, handing_over.explore, "draw what a data set of bookmarks holds")
    return parser


if TYPE_CHECKING:
    _Subparsers = _SubParsersAction[ArgumentParser]


def _add(subcommands: _Subparsers, run: Callable[..., int], summary: str) -> ArgumentParser:
    name = run.__name__.replace("_", "-")
    parser = subcommands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    return parser


def _add_serve(subcommands: _Subparsers) -> None:
    parser = _add(subcommands, serving.serve, "run the node")
    parser.add_argument(
        "--role",
        choices=[role.value for role in Role],
        default=Role.ALL.value,
        help="receive, work on what others receive, or both; default: %(default)s",
    )
    # One of several listeners of a node: ends with its standard input.
    parser.add_argument("--attached", action="store_true", help=SUPPRESS)


def _add_doctor(subcommands: _Subparsers) -> None:
    summary = "try the installation, from the configuration to a report that comes back"
    parser = _add(subcommands, doctor, summary)
    parser.add_argument("--no-loop", action="store_true", help="send no test series")
    parser.add_argument("--json", action="store_true", help="for programs")


def _add_conformance(subcommands: _Subparsers) -> None:
    summary = "write the DICOM conformance statement of the configuration"
    parser = _add(subcommands, conformance, summary)
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")


def _add_analyse(subcommands: _Subparsers) -> None:
    parser = _add(subcommands, commands.analyse, "analyse a folder of DICOM, no network")
    parser.add_argument("folder", type=Path, help="one series or several, subfolders included")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the bookmarks as JSON")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the SR; several become FILE-1, FILE-2"
    )


def _add_send(subcommands: _Subparsers) -> None:
    parser = _add(subcommands, commands.send, "send a folder of DICOM by C-STORE")
    parser.add_argument("folder", type=Path)
    _add_peer(parser, required=True)


def _add_echo(subcommands: _Subparsers) -> None:
    summary = "C-ECHO to a peer, or to every destination of the configuration"
    _add_peer(_add(subcommands, commands.echo, summary), required=False)


def _add_peer(parser: ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--host", required=required)
    parser.add_argument("--port", type=int, default=11112, help="default: %(default)s")
    parser.add_argument(
        "--called", default="LESIONMARK", metavar="AET", help="default: %(default)s"
    )
    parser.add_argument(
        "--calling", default="LESIONMARK", metavar="AET", help="default: %(default)s"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="seconds; default: %(default)s"
    )


def _add_status(subcommands: _Subparsers) -> None:
    parser = _add(subcommands, commands.status, "every series and where it stands")
    parser.add_argument("series", nargs="?", help="Series Instance UID; default: all")
    parser.add_argument(
        "--last", type=int, default=100, metavar="N",
        help="of those that are done only so many, the newest; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for programs")


def _add_retry(subcommands: _Subparsers) -> None:
    parser = _add(subcommands, commands.retry, "go on with what failed, try at once what waits")
    parser.add_argument("series", nargs="?", help="Series Instance UID; default: all")


def _add_service(subcommands: _Subparsers) -> None:
    make = _add(subcommands, administer.install, "make a systemd service of this installation")
    unmake = _add(subcommands, administer.uninstall, "remove the service; data stay")
    for parser in (make, unmake):
        parser.add_argument(
            "--root", type=Path, default=Path("/"), metavar="DIR", help="of an image being built"
        )


def _add_handed_over(subcommands: _Subparsers, run: Callable[..., int], summary: str) -> None:
    """A subcommand whose arguments, --help included, are those of a package of its own."""
    parser = subcommands.add_parser(run.__name__, help=summary, add_help=False)
    parser.set_defaults(run=run, hands_over=True)


if __name__ == "__main__":
    sys.exit(main())
