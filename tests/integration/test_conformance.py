"""The conformance statement is that of this code, and a peer finds what it says."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE, build_context, build_role

from deploy.processes import LOOPBACK
from dicom_node import config
from dicom_node.conformance import behaviour
from dicom_node.conformance.statement import statement
from dicom_node.conformance.subject import Subject, subject
from dicom_node.sop_classes import STORAGE_COMMITMENT, VERIFICATION
from dicom_node.statuses import ActionStatus, EventStatus, StoreStatus
from plugin.uids import IMPLEMENTATION_CLASS_UID
from tests.node import SENDER, Node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

ROOT = Path(__file__).parents[2]
#: JPIP Referenced: the pixels lie elsewhere.
JPIP_REFERENCED = "1.2.840.10008.1.2.4.94"
#: Modality Worklist, a private class, and a storage class that was retired long ago.
UNKNOWN = ("1.2.840.10008.5.1.4.31", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.9")
#: Presentation contexts of one association (PS3.8 9.3.2.2).
MOST = 128


@pytest.fixture(scope="module")
def told() -> str:
    """The statement on the shipped configuration."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return statement(config.load(ROOT / "config.toml"), version)


@pytest.fixture(scope="module")
def about(node: Node) -> Subject:
    """What is stated of the node that runs."""
    return subject(config.load(node.config), "test")


def test_the_file_is_current(told: str) -> None:
    written = (ROOT / "docs" / "conformance.md").read_text()
    assert written == told, "lesionmark --config config.toml conformance --output THAT_FILE"


def test_every_status_is_explained() -> None:
    assert set(behaviour.STORE) == set(StoreStatus)
    assert set(behaviour.ACTION) == set(ActionStatus)
    assert set(behaviour.EVENT) == set(EventStatus)


def test_what_the_report_holds_is_told(told: str) -> None:
    for words in (
        "Templates: TID 1500, TID 1501.",
        "| . . . Long Axis (103339001 SCT), in mm | NUM | CONTAINS |",
        "| . . . . Source (260753009 SCT), POLYLINE | SCOORD | INFERRED FROM |",
        "| SCT | 64033007 | Kidney |",
        "Private codes: none.",
        "113100 | Basic Application Confidentiality Profile",
    ):
        assert words in told


def test_secrets_are_not_told() -> None:
    text = (ROOT / "config.toml").read_text()
    text = text.replace('database = "sqlite"', 'database = "postgresql://u:hunter2@h/n"')
    removal = '[destination.removal]\nby = "orthanc"\nurl = "http://h"\nauthorization = "hunter2"\n'
    said = statement(config.parse(text + removal), "test")
    assert "| destination.removal.authorization | (not shown) |" in said
    assert "hunter2" not in said


def ask(node: Node, contexts: Iterable[PresentationContext], **roles: bool) -> Association:
    """An association in which these contexts were proposed; released."""
    entity = AE(SENDER)
    entity.requested_contexts = list(contexts)
    negotiation = [build_role(STORAGE_COMMITMENT, **roles)] if roles else []
    association = entity.associate(LOOPBACK, node.port, ae_title="LESIONMARK", ext_neg=negotiation)
    if association.is_established:
        association.release()
    return association


def test_every_class_that_is_stated_is_accepted(node: Node, about: Subject) -> None:
    stated = {UID(str(context.abstract_syntax)) for context in about.accepted}
    assert {CTImageStorage, VERIFICATION, STORAGE_COMMITMENT} <= stated
    found = set()
    proposed = [build_context(uid) for uid in sorted(stated)]
    for first in range(0, len(proposed), MOST):
        association = ask(node, proposed[first : first + MOST])
        found |= {context.abstract_syntax for context in association.accepted_contexts}
    assert found == stated


def test_every_transfer_syntax_that_is_stated_is_accepted(node: Node, about: Subject) -> None:
    [ct] = [c for c in about.accepted if c.abstract_syntax == CTImageStorage]
    association = ask(node, [build_context(CTImageStorage, s) for s in ct.transfer_syntax])
    found = [context.transfer_syntax[0] for context in association.accepted_contexts]
    assert found == ct.transfer_syntax


def test_nothing_else_is_accepted(node: Node, about: Subject) -> None:
    stated = {str(context.abstract_syntax) for context in about.accepted}
    assert stated.isdisjoint(UNKNOWN)
    proposed = [build_context(uid) for uid in UNKNOWN]
    jpip = build_context(CTImageStorage, JPIP_REFERENCED)
    association = ask(node, [build_context(VERIFICATION), *proposed, jpip])
    assert [c.abstract_syntax for c in association.accepted_contexts] == [VERIFICATION]
    assert len(association.rejected_contexts) == len(UNKNOWN) + 1


def test_the_node_names_itself_and_its_largest_pdu(node: Node) -> None:
    acceptor = ask(node, [build_context(VERIFICATION)]).acceptor
    assert acceptor.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert acceptor.implementation_version_name == "LESIONMARK"
    assert acceptor.maximum_length == config.load(node.config).listener.max_pdu_bytes


def test_the_role_of_the_scp_is_open_only_to_those_who_report(node: Node, about: Subject) -> None:
    [stated] = [c for c in about.accepted if c.abstract_syntax == STORAGE_COMMITMENT]
    assert (stated.scu_role, stated.scp_role) == (True, False)
    association = ask(node, [build_context(STORAGE_COMMITMENT)], scu_role=True, scp_role=True)
    [context] = association.accepted_contexts
    assert (context.as_scu, context.as_scp) == (True, False)
