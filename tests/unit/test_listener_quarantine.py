"""What nobody can read is kept, whatever the request says that it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.filereader import read_file_meta_info
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicom_node.arriving import Marks
from dicom_node.audit import SILENT
from dicom_node.config_tables import Listener as Settings
from dicom_node.config_tables import Sender
from dicom_node.listener import Listener, Notices
from dicom_node.live import fixed
from dicom_node.spool import Shelf, Spool
from dicom_node.statuses import StoreStatus
from dicom_node.store_request import StoreRequest

if TYPE_CHECKING:
    from pathlib import Path

GARBAGE = b"no data set"


def announced(sop_class: bytes, sop_instance: bytes) -> Any:
    request = StoreRequest(1, 7, (sop_class, sop_instance), [GARBAGE])
    context = SimpleNamespace(transfer_syntax=ExplicitVRLittleEndian)
    return SimpleNamespace(request=request, context=context, assoc=None)


@pytest.mark.parametrize(
    ("sop_class", "sop_instance", "kept"),
    [
        (CTImageStorage.encode(), b"1.2.345\0", [CTImageStorage, "1.2.345"]),
        (b"", b"", ["", ""]),
        (b"1" * 65, "M\u00fcller".encode("latin-1"), ["", ""]),
    ],
    ids=["as it should be", "empty", "no UIDs"],
)
def test_unreadable_bytes_are_kept_whatever_is_announced(
    tmp_path: Path, sop_class: bytes, sop_instance: bytes, kept: list[str]
) -> None:
    spool, marks = Spool(tmp_path / "spool"), Marks(tmp_path / "arriving")
    notices = Notices(began=print, ended=print, aside=print)
    settings = Settings(sender=(Sender(ae_title="S"),))
    listener = Listener(fixed(settings), spool, frozenset(), notices, SILENT, marks)
    status = listener.handle_store(announced(sop_class, sop_instance))
    marks.close()
    assert status == StoreStatus.CANNOT_UNDERSTAND
    [file] = (spool.root / Shelf.QUARANTINE).iterdir()
    meta = read_file_meta_info(file)
    assert [meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID] == kept
    assert file.read_bytes().endswith(GARBAGE)
