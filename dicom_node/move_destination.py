"""A Storage SCP of our own for as long as we retrieve by C-MOVE (PS3.4 C.4.2)."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node import tls
from dicom_node.acceptor import Acceptor
from dicom_node.admission import Admission
from dicom_node.errors import NodeError
from dicom_node.gate import Gate
from dicom_node.live import fixed
from dicom_node.sop_classes import VERIFICATION
from dicom_node.statuses import SUCCESS, StoreStatus
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from dicom_node.upper_layer import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.events import Event

    from dicom_node.association import AcceptedAssociation
    from dicom_node.audit import Trail
    from dicom_node.config_tables import Listener as Settings
    from dicom_node.keeping import Keeper

log = logging.getLogger(__name__)

#: Seconds that open associations get when the destination is closed.
_CLOSE_WITHIN_S = 1.0


class MoveDestination:
    """Takes what one retrieval at a time has asked for; for a `with` statement."""

    def __init__(self, settings: Settings, trail: Trail) -> None:
        """`settings` are those of a listener: address, AE title, who may send, and limits."""
        self.settings = settings
        self._keeper: Keeper | None = None
        self._acceptor: Acceptor | None = None
        self._gate = Gate(Admission(fixed(settings), lambda: False), trail, self._open_associations)

    @property
    def ae_title(self) -> str:
        """The AE title under which the peer must know our address and port."""
        return self.settings.ae_title

    def __enter__(self) -> MoveDestination:
        """Listen. Raises NodeError when the address is taken, ConfigError for certificates."""
        address = (self.settings.host, self.settings.port)
        secured = self.settings.tls
        try:
            self._acceptor = Acceptor(
                self._entity(),
                address,
                [
                    (evt.EVT_REQUESTED, self._gate.handle_requested),
                    (evt.EVT_REJECTED, self._gate.handle_rejected),
                    (evt.EVT_C_STORE, self._handle_store),
                    (evt.EVT_C_ECHO, lambda _: SUCCESS),
                ],
                self._limits(),
                tls=tls.server_context(secured) if secured else None,
                admits=self._gate.admits,
                on_refused=self._gate.handle_refused,
            )
        except OSError as error:
            raise NodeError(f"cannot listen on {address[0]}:{address[1]}: {error}") from error
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._acceptor is not None:
            self._acceptor.stop(_CLOSE_WITHIN_S)

    @contextmanager
    def filled_by(self, keeper: Keeper) -> Iterator[None]:
        """Hand what comes within the block to `keeper`; before and after it all is refused."""
        self._keeper = keeper
        try:
            yield
        finally:
            self._keeper = None

    def _handle_store(self, event: Event) -> int:
        keeper = self._keeper
        if keeper is None:
            log.warning("LM312 an instance came to the destination of C-MOVE unasked")
            return StoreStatus.NOT_AUTHORIZED
        return keeper.handle_store(event)

    def _entity(self) -> AE:
        entity = AE(self.settings.ae_title)
        entity.add_supported_context(VERIFICATION)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), TRANSFER_SYNTAXES)
        return entity

    def _open_associations(self) -> list[AcceptedAssociation]:
        return self._acceptor.active_associations if self._acceptor else []

    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(
            max_associations=settings.max_associations,
            idle_timeout_s=settings.idle_timeout_s,
            max_pdu_bytes=settings.max_pdu_bytes,
            max_data_set_bytes=settings.max_instance_mb << 20,
            handshake_timeout_s=settings.handshake_timeout_s,
        )
