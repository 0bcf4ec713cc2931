"""folder_scp.py FOLDER AE_TITLE PORT: a Storage SCP on loopback that fills a folder.

Instances go to FOLDER/<study>/<modality>/<SOP Instance UID>.dcm as they were received. It is
for demos: it trusts its peers, and a power cut may cost what it has just acknowledged.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    VerificationPresentationContexts,
    evt,
)

if TYPE_CHECKING:
    from pynetdicom.events import Event

#: Statuses of the Storage Service (PS3.4 Table B.2-1).
SUCCESS = 0x0000
CANNOT_UNDERSTAND = 0xC000


def handle_store(event: Event, folder: Path) -> int:
    """Keep one instance; the file appears under its name only when it is whole."""
    instance = event.dataset
    uids = UID(instance.StudyInstanceUID), UID(instance.SOPInstanceUID)
    if not all(uid.is_valid for uid in uids) or not str(instance.Modality).isalnum():
        return CANNOT_UNDERSTAND
    target = folder / uids[0] / instance.Modality / f"{uids[1]}.dcm"
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming = target.with_suffix(".incoming")
    incoming.write_bytes(event.encoded_dataset())
    incoming.replace(target)
    return SUCCESS


def serve(folder: Path, ae_title: str, port: int) -> None:
    """Serve until the process is told to end."""
    entity = AE(ae_title=ae_title)
    for context in (*AllStoragePresentationContexts, *VerificationPresentationContexts):
        entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
    keep = partial(handle_store, folder=folder)
    entity.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, keep)])


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
