"""A modality in a process of its own: sends one series after the other until it is told to end.

    python -m tests.faults.sender PORT SEED

Every answer of Success is one line of JSON on the standard output. An instance is sent until
it was acknowledged, over associations of every length, some of which break off. A line on the
standard input ends it, after the series that it is about to send.
"""

from __future__ import annotations

import json
import random
import sys
from threading import Event, Thread
from typing import TYPE_CHECKING

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from deploy.processes import LOOPBACK, listens
from dicom_node.statuses import SUCCESS
from tests.instances import instance
from tests.node import SENDER

if TYPE_CHECKING:
    from pydicom import Dataset

#: Seconds between two tries while the node is down, and at most between two series.
_PAUSE_S, _LONGEST_REST_S = 0.1, 1.0


def main() -> None:
    port, seed = int(sys.argv[1]), sys.argv[2]
    chance, told = random.Random(seed), Event()
    Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
    number = 0
    while not told.is_set():
        number += 1
        study_uid, series_uid = (generate_uid(entropy_srcs=[seed, f"{number}{x}"]) for x in "ab")
        waiting = [instance(series_uid, study_uid, n) for n in range(chance.randint(3, 9))]
        chance.shuffle(waiting)
        while waiting:
            waiting = waiting[_send_some(port, waiting, chance) :]
        told.wait(chance.uniform(0, _LONGEST_REST_S))


def _send_some(port: int, waiting: list[Dataset], chance: random.Random) -> int:
    """How many of the first were acknowledged."""
    entity = AE(SENDER)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    if not listens(port):
        Event().wait(_PAUSE_S)
        return 0
    association = entity.associate(LOOPBACK, port, ae_title="LESIONMARK")
    if not association.is_established:
        return 0
    most = chance.choice([1, 2, len(waiting)])
    sent = 0
    while sent < min(most, len(waiting)) and association.is_established:
        if association.send_c_store(waiting[sent]).get("Status") != SUCCESS:
            break
        _tell(waiting[sent])
        sent += 1
    if association.is_established:
        chance.choice([association.release, association.release, association.abort])()
    return sent


def _tell(ct: Dataset) -> None:
    answer = [ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.SOPInstanceUID]
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
