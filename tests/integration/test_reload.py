"""A running node reads its configuration again, and loses nothing over it."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from deploy.processes import LOOPBACK, free_port
from tests.certificates import Authority
from tests.instances import write_series
from tests.node import SENDER, Node, eventually
from tests.pacs import ScriptedPacs
from tests.peers import answer_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_KNOWN = (1, 1, 3)
#: Enough associations to meet each of two listeners.
MANY = 12


@pytest.fixture(scope="module")
def late() -> Iterator[ScriptedPacs]:
    """A PACS whose port the configuration does not name at first."""
    pacs = ScriptedPacs()
    pacs.start()
    yield pacs
    pacs.stop()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, late: ScriptedPacs) -> Iterator[Node]:
    """A node of two listeners whose destination is not where it should be."""
    to = [("pacs", late.ae_title, free_port())]
    folder = tmp_path_factory.mktemp("crowd")
    delivery = {"first_retry_s": 600.0, "longest_retry_s": 600.0}
    with Node(folder, to, listener={"processes": 2}, delivery=delivery) as node:
        yield node


def change(node: Node, before: str, after: str) -> None:
    text = node.config.read_text()
    assert before in text
    node.config.write_text(text.replace(before, after))


def hang_up(node: Node) -> None:
    """SIGHUP, until the node has said what came of it; quicker than the command."""
    before = said(node, "LM007") + said(node, "LM008")
    assert node.process.pid is not None
    os.kill(node.process.pid, signal.SIGHUP)
    eventually(lambda: said(node, "LM007") + said(node, "LM008") > before, "an answer")


def said(node: Node, words: str) -> int:
    return node.process.log.read_text().count(words)


def test_a_new_sender_is_let_in_by_every_listener_and_nobody_is_cut_off(crowd: Node) -> None:
    assert {answer_to(crowd.port, "NEWCOMER") for _ in range(MANY)} == {NOT_KNOWN}
    association = crowd.associate()
    change(crowd, 'ae_title = "ORTHANC"', 'ae_title = "NEWCOMER"')
    done = crowd.call("reload")
    assert (done.returncode, done.stdout.strip()) == (0, "taken over")
    eventually(lambda: said(crowd, "LM007") == 3, "the word of every process")
    assert {answer_to(crowd.port, "NEWCOMER") for _ in range(MANY)} == {None}
    assert {answer_to(crowd.port, "ORTHANC") for _ in range(MANY)} == {NOT_KNOWN}
    assert association.is_established
    association.release()


def test_what_waits_goes_where_the_new_configuration_says(
    crowd: Node, late: ScriptedPacs, tmp_path: Path
) -> None:
    series = write_series(tmp_path / "ct", 4)
    crowd.send(series.paths)
    eventually(
        lambda: [d.state for s in crowd.status(series) for d in s.deliveries] == ["retrying"],
        "a delivery that waits",
    )
    wrong = crowd.config.read_text().rpartition("port = ")[2].splitlines()[0]
    change(crowd, f"port = {wrong}", f"port = {late.port}")
    hang_up(crowd)
    assert crowd.call("retry", series.series_uid).returncode == 0
    crowd.wait_for(series, "delivered")
    assert len(late.reports(series.study_uid)) == 1


@pytest.mark.parametrize("how", ["command", "signal"])
def test_a_wrong_file_is_refused_by_its_key_and_nothing_changes(crowd: Node, how: str) -> None:
    right = crowd.config.read_text()
    change(crowd, f'ae_title = "{SENDER}"', 'ae_title = "WRONG", addresses = ["nowhere"]')
    if how == "command":
        done = crowd.call("reload")
        assert done.returncode == 2
        assert "listener.sender[1].addresses" in done.stderr
    else:
        hang_up(crowd)
        assert said(crowd, "LM008 configuration not taken over") == 1
        assert said(crowd, "listener.sender[1].addresses") == 1
    crowd.config.write_text(right)
    assert answer_to(crowd.port, SENDER) is None
    assert answer_to(crowd.port, "WRONG") == NOT_KNOWN


def test_what_cannot_change_is_named(crowd: Node) -> None:
    right = crowd.config.read_text()
    change(crowd, f"port = {crowd.port}", f"port = {free_port()}")
    done = crowd.call("reload")
    crowd.config.write_text(right)
    assert done.stdout.split("\n")[:2] == ["taken over", "listener.port: at the next start"]
    assert "LM009 listener.port: takes effect at the next start" in crowd.process.log.read_text()
    assert answer_to(crowd.port, SENDER) is None


def test_renewed_certificates_are_shown_to_whoever_comes_next(
    tmp_path: Path, late: ScriptedPacs
) -> None:
    authority = Authority(tmp_path / "ca")
    keys, sender = authority.issue("node"), authority.issue("sender")
    node = Node(tmp_path / "node", [("pacs", late.ae_title, late.port)], listener={})
    with node.config.open("a") as file:
        file.write("[listener.tls]\n")
        file.writelines(f'{key} = "{path}"\n' for key, path in keys.table.items())
    node.process._answers = lambda: said(node, "LM001") > 0
    context = ssl.create_default_context(cafile=str(keys.ca))
    context.load_cert_chain(sender.certificate, sender.key)

    def shown() -> str:
        with (
            socket.create_connection((LOOPBACK, node.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            certificate = secured.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])

    with node:
        before = shown()
        keys.key.write_text("no key")
        hang_up(node)
        assert said(node, "listener.tls.key") == said(node, "holds no private key") == 1
        assert shown() == before
        authority.issue("node")
        hang_up(node)
        assert shown() != before


def test_a_worker_takes_it_over_and_tells_the_service_manager(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", [("pacs", "NOBODY", 1)])
    assert "no node runs here" in node.call("reload").stderr
    node.process.command = node.command("serve", "--role", "worker")
    node.process._answers = lambda: said(node, "LM001") > 0
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    node.process._environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
    with node, manager:
        assert manager.recv(1000) == b"READY=1"
        assert node.call("reload").stdout.strip() == "taken over"
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(1000))
        assert manager.recv(1000) == b"READY=1"
        node.process.kill()
        assert node.call("reload").returncode == 1
