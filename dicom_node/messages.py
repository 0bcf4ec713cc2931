"""DIMSE messages put together from the fragments of an association (PS3.7, PS3.8 E)."""

from __future__ import annotations

import struct
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, cast

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.store_request import store_request

if TYPE_CHECKING:
    from queue import Queue

    from pynetdicom.association import Association

    from dicom_node.store_request import StoreRequest

#: Command sets hold two UIDs and some numbers (PS3.7 9.3).
_LONGEST_COMMAND = 1 << 16
#: Of the message control header: of a command set, and the last one of it (PS3.8 E.2).
_IS_COMMAND, _IS_LAST = 0x01, 0x02
#: Length, context and message control header of a fragment (PS3.8 9.3.5.1).
_FRAGMENT = struct.Struct(">LBB")


class TooLong(OSError):
    """A peer sends more in one piece than it was told it may."""


class _Layer(Protocol):
    """The part of the upper layer below that is waited for."""

    is_over: bool
    to_user_queue: Queue[Any]

    def step(self, timeout_s: float | None) -> None: ...


class Messages(DIMSEServiceProvider):
    """Puts messages together from their fragments, and keeps of each no more than it may hold.

    The end of a data set that is too long is dropped, but the message completes: it can then be
    refused by name, and the next one on the association is not lost with it.
    """

    def __init__(self, association: Association, longest: int) -> None:
        super().__init__(association)
        self._longest = longest
        self._command = bytearray()
        self._request: StoreRequest | None = None
        self._length = 0

    def receive(self, body: bytearray) -> bool:
        """Take what stands behind the header of a P-DATA-TF PDU (PS3.8 9.3.5); False if it is none.

        Raises TooLong for a command set without end.
        """
        view, at = memoryview(body), 0
        while at + _FRAGMENT.size <= len(body):
            length, context_id, control = _FRAGMENT.unpack_from(body, at)
            end = at + 4 + length
            if length <= 1 or end > len(body):
                return False
            self._add(context_id, control, view[at + _FRAGMENT.size : end])
            at = end
        return at == len(body)

    def _add(self, context_id: int, control: int, data: memoryview) -> None:
        if control & _IS_COMMAND:
            self._add_command(context_id, control, data)
            return
        if self._length <= self._longest:
            self._length += len(data)
        else:
            data = data[:0]
        if self._request is None:
            self._hand_on(context_id, control, data)
        else:
            self._request.add(data)
            if control & _IS_LAST:
                self.msg_queue.put((context_id, cast("Any", self._request)))
        if control & _IS_LAST:
            self._request, self._length = None, 0

    def _add_command(self, context_id: int, control: int, data: memoryview) -> None:
        self._command += data
        if len(self._command) > _LONGEST_COMMAND:
            raise TooLong(f"a command set of more than {_LONGEST_COMMAND} bytes")
        if not control & _IS_LAST:
            return
        command, self._command = bytes(self._command), bytearray()
        self._request, self._length = store_request(context_id, command), 0
        if self._request is None:
            self._hand_on(context_id, control, command)

    def get_msg(self, block: bool = False) -> Any:
        """The next message; or, when told to wait, the answer to what we have asked.

        What the peer asks meanwhile keeps its place.
        """
        if not block:
            return super().get_msg()
        layer = cast("_Layer", self.dul)
        deadline, requests = monotonic() + (self.dimse_timeout or 0.0), list[Any]()
        answer: tuple[Any, Any] = (None, None)
        while answer == (None, None) and (remaining := deadline - monotonic()) > 0:
            if not self.msg_queue.empty():
                came = self.msg_queue.get_nowait()
                is_answer = getattr(came[1], "MessageIDBeingRespondedTo", None) is not None
                answer = came if is_answer else answer
                if not is_answer:
                    requests.append(came)
            elif layer.is_over or not layer.to_user_queue.empty():
                break  # the peer releases or aborts the association
            else:
                layer.step(remaining)
        for request in requests:
            self.msg_queue.put(request)
        return answer

    def _hand_on(self, context_id: int, control: int, data: bytes | memoryview) -> None:
        """A fragment of any other message, for the library."""
        pdata = P_DATA()
        # A list: the library puts other bytes in its place.
        fragment: Any = [context_id, bytes([control]) + data]
        pdata.presentation_data_value_list = [fragment]
        self.receive_primitive(pdata)
