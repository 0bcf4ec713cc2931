from __future__ import annotations

from typing import TYPE_CHECKING

from pynetdicom import build_context
from pynetdicom.dimse_primitives import C_ECHO

from deploy.processes import LOOPBACK
from dicom_node.config_tables import Destination
from dicom_node.requestor import associate
from dicom_node.sop_classes import VERIFICATION
from dicom_node.statuses import SUCCESS

if TYPE_CHECKING:
    from tests.pacs import ScriptedPacs


def test_an_answer_waits_for_whoever_asked(scripted: ScriptedPacs) -> None:
    scripted.start()
    peer = Destination(name="p", host=LOOPBACK, port=scripted.port, ae_title=scripted.ae_title)
    association = associate([build_context(VERIFICATION)], peer, "SENDER", timeout_s=10)
    answer = C_ECHO()
    association.dimse.msg_queue.put((1, answer))
    assert association.dimse.get_msg(block=False) == (None, None)
    assert association.dimse.get_msg(block=True) == (1, answer)
    assert association.send_c_echo().Status == SUCCESS
    association.release()
