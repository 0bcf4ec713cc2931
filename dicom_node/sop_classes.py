"""SOP Classes of services, by their names in PS3.4 and PS3.6 Table A-1."""

from pydicom.uid import UID

#: Verification Service Class (PS3.4 A).
VERIFICATION = UID("1.2.840.10008.1.1")
#: Study Root Query/Retrieve Information Model - FIND (PS3.4 C.4.1).
STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
#: Study Root Query/Retrieve Information Model - MOVE, and - GET (PS3.4 C.4.2 and C.4.3).
STUDY_ROOT_MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
#: Storage Commitment Push Model (PS3.4 J.3).
STORAGE_COMMITMENT = UID("1.2.840.10008.1.20.1")
#: Its one well-known SOP Instance (PS3.4 J.3.5).
STORAGE_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
