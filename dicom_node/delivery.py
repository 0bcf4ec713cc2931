"""Storage SCU: sends objects from disk to one peer (PS3.4 B)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context

from dicom_node.requestor import associate
from dicom_node.sop_classes import VERIFICATION
from dicom_node.statuses import is_kept, is_permanent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pynetdicom.association import Association

    from dicom_node.requestor import Peer

log = logging.getLogger(__name__)

#: PS3.8 allows 128 presentation contexts in one association.
_MOST_CONTEXTS = 128
_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
#: SOP Class UID and Transfer Syntax UID of a presentation context to propose.
_Context = tuple[str, str]
#: One object in several forms, best first; the peer gets the first that it accepts.
Alternatives = tuple["Path", ...]


class Outcome(Enum):
    """What became of one try to send."""

    #: The peer acknowledged every object.
    KEPT = "kept"
    #: It did not work this time; another try may.
    TRY_AGAIN = "try again"
    #: The peer refuses an object; another try is useless.
    REFUSED = "refused"


@dataclass(frozen=True)
class Sent:
    """One try to send some objects."""

    #: What became of it.
    outcome: Outcome
    #: For a person: the peer's answer, in words.
    reason: str


def send(
    objects: Sequence[Alternatives],
    peer: Peer,
    calling_ae_title: str,
    *,
    timeout_s: float,
    on_sent: Callable[[Path], None] = lambda _: None,
) -> Sent:
    """Send objects to a peer, each as it is encoded, over as few associations as possible.

    Stops at the first object that the peer does not keep. Sending an object again that the
    peer holds already counts as kept.
    """
    for batch in _batches(objects):
        sent = _send_batch(batch, peer, calling_ae_title, timeout_s, on_sent)
        if sent.outcome is not Outcome.KEPT:
            return sent
    return Sent(Outcome.KEPT, f"{len(objects)} objects")


def echo(peer: Peer, calling_ae_title: str, *, timeout_s: float) -> Sent:
    """Verify that a peer answers C-ECHO (PS3.4 A)."""
    association = associate([build_context(VERIFICATION)], peer, calling_ae_title, timeout_s)
    if not association.is_established:
        return Sent(Outcome.TRY_AGAIN, _why_not(association))
    response = association.send_c_echo()
    association.release()
    return _judge(response.get("Status"), "C-ECHO")


@dataclass(frozen=True)
class _Object:
    #: The presentation contexts to propose for each of its forms, best first.
    forms: Mapping[Path, frozenset[_Context]]

    @property
    def contexts(self) -> frozenset[_Context]:
        """All contexts to propose."""
        return frozenset().union(*self.forms.values())

    def best(self, accepted: Iterable[_Context]) -> Path:
        """The best form that fits an accepted context, or the best of all if none does."""
        taken = set(accepted)
        return next(
            (path for path, fits in self.forms.items() if fits & taken), next(iter(self.forms))
        )


def _batches(objects: Sequence[Alternatives]) -> list[list[_Object]]:
    """Split so that each batch needs no more contexts than one association may have."""
    batches: list[list[_Object]] = [[]]
    contexts: frozenset[_Context] = frozenset()
    for alternatives in objects:
        item = _Object({path: _contexts(path) for path in alternatives})
        contexts |= item.contexts
        if len(contexts) > _MOST_CONTEXTS:
            batches.append([])
            contexts = item.contexts
        batches[-1].append(item)
    return [batch for batch in batches if batch]


def _contexts(path: Path) -> frozenset[_Context]:
    """The object's own syntax, and the one every peer knows (PS3.5 10) where it can be had.

    Each syntax has a context of its own, so that the peer cannot choose another one and
    have the object encoded anew that it could take as it is.
    """
    header = dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    own = header.file_meta.TransferSyntaxUID
    syntaxes = {own, ImplicitVRLittleEndian} if own in _NATIVE else {own}
    return frozenset((str(header.SOPClassUID), str(syntax)) for syntax in syntaxes)


def _send_batch(
    batch: list[_Object],
    peer: Peer,
    calling_ae_title: str,
    timeout_s: float,
    on_sent: Callable[[Path], None],
) -> Sent:
    wanted = frozenset().union(*(item.contexts for item in batch))
    contexts = [build_context(*context) for context in sorted(wanted)]
    association = associate(contexts, peer, calling_ae_title, timeout_s)
    if not association.is_established:
        return Sent(Outcome.TRY_AGAIN, _why_not(association))
    try:
        return _send_over(association, batch, on_sent)
    finally:
        if association.is_established:
            association.release()


def _send_over(
    association: Association, batch: list[_Object], on_sent: Callable[[Path], None]
) -> Sent:
    accepted = [
        (str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts
    ]
    for item in batch:
        path = item.best(accepted)
        sent = _store(association, path)
        if sent.outcome is not Outcome.KEPT:
            return sent
        on_sent(path)
    return Sent(Outcome.KEPT, "every object was acknowledged")


def _store(association: Association, path: Path) -> Sent:
    try:
        response = association.send_c_store(path)
    except ValueError as error:  # no accepted presentation context
        return Sent(Outcome.REFUSED, str(error))
    except RuntimeError as error:  # the association has ended
        return Sent(Outcome.TRY_AGAIN, str(error))
    return _judge(response.get("Status"), path.name)


def _judge(status: int | None, what: str) -> Sent:
    if status is None:
        return Sent(Outcome.TRY_AGAIN, f"{what}: no answer: aborted, or timed out")
    if is_kept(status):
        return Sent(Outcome.KEPT, f"{what}: status 0x{status:04X}")
    outcome = Outcome.REFUSED if is_permanent(status) else Outcome.TRY_AGAIN
    return Sent(outcome, f"{what}: refused with status 0x{status:04X}")


def _why_not(association: Association) -> str:
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return f"association rejected: {answer.result_str}, {answer.reason_str}"
    if association.is_aborted:
        return "association aborted, or no such peer"
    return "no association"
