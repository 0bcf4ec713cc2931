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
from dicom_node.statuses import is_acknowledged, is_by_setting, is_permanent
from dicom_node.wording import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    ACKNOWLEDGED = "acknowledged"
    #: The peer refuses an object; another try is useless.
    REFUSED = "refused"
    #: The peer is set up not to take it; works when a person has changed that.
    UNWILLING = "unwilling"
    #: It did not work this time; another try may.
    TRY_AGAIN = "try again"


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

    An object that the peer does not take does not keep the others from it. Sending an object
    again that the peer holds already counts as acknowledged.
    """
    sent: list[Sent] = []
    for batch in _batches(objects):
        sent += _send_batch(batch, peer, calling_ae_title, timeout_s, on_sent)
    return _sum_up(sent)


def _sum_up(sent: list[Sent]) -> Sent:
    """The outcome that asks for most: another try, then a person, then nothing."""
    outcome = next(o for o in reversed(Outcome) if o in {Outcome.ACKNOWLEDGED, *_outcomes(sent)})
    if outcome is Outcome.ACKNOWLEDGED:
        return Sent(outcome, plural(len(sent), "object"))
    return next(one for one in sent if one.outcome is outcome)


def _outcomes(sent: list[Sent]) -> set[Outcome]:
    return {one.outcome for one in sent}


def echo(peer: Peer, calling_ae_title: str, *, timeout_s: float) -> Sent:
    """Verify that a peer answers C-ECHO (PS3.4 A)."""
    association = associate([build_context(VERIFICATION)], peer, calling_ae_title, timeout_s)
    if not association.is_established:
        return not_associated(association)
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

    @property
    def name(self) -> str:
        """The name of its best form."""
        return next(iter(self.forms)).name

    def best(self, accepted: Iterable[_Context]) -> Path | None:
        """The best form that fits an accepted context."""
        taken = set(accepted)
        return next((path for path, fits in self.forms.items() if fits & taken), None)


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
) -> list[Sent]:
    wanted = frozenset().union(*(item.contexts for item in batch))
    contexts = [build_context(*context) for context in sorted(wanted)]
    association = associate(contexts, peer, calling_ae_title, timeout_s)
    if not association.is_established:
        return [not_associated(association)]
    try:
        return list(_send_over(association, batch, on_sent))
    finally:
        if association.is_established:
            association.release()


def _send_over(
    association: Association, batch: list[_Object], on_sent: Callable[[Path], None]
) -> Iterator[Sent]:
    """Try object after object while the association lasts."""
    accepted = [
        (str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts
    ]
    for item in batch:
        path = item.best(accepted)
        if path is None:
            yield Sent(Outcome.UNWILLING, f"{item.name}: the peer does not accept its SOP class")
            continue
        try:
            status = association.send_c_store(path).get("Status")
        except ValueError as error:  # it cannot be encoded
            yield Sent(Outcome.REFUSED, f"{path.name}: {error}")
            continue
        except RuntimeError:  # the association has ended
            status = None
        sent = _judge(status, path.name)
        if sent.outcome is Outcome.ACKNOWLEDGED:
            on_sent(path)
        yield sent
        if status is None:
            return


def _judge(status: int | None, what: str) -> Sent:
    if status is None:
        return Sent(Outcome.TRY_AGAIN, f"{what}: no answer: aborted, or timed out")
    if is_acknowledged(status):
        return Sent(Outcome.ACKNOWLEDGED, f"{what}: status 0x{status:04X}")
    return Sent(_refusal(status), f"{what}: refused with status 0x{status:04X}")


def _refusal(status: int) -> Outcome:
    if is_permanent(status):
        return Outcome.REFUSED
    return Outcome.UNWILLING if is_by_setting(status) else Outcome.TRY_AGAIN


def not_associated(association: Association) -> Sent:
    """Why there is no association, and whether another try may be of use."""
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        reason = f"association rejected: {answer.result_str}, {answer.reason_str}"
        return Sent(Outcome.TRY_AGAIN, reason)
    if association.rejected_contexts:
        return Sent(Outcome.UNWILLING, "the peer accepts none of the SOP classes")
    if association.is_aborted:
        return Sent(Outcome.TRY_AGAIN, "association aborted, or no such peer")
    return Sent(Outcome.TRY_AGAIN, "no association")
