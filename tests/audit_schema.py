"""The structure of an audit message (PS3.15 A.5.1), to check messages against."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_CODE = {"csd-code": r".+", "codeSystemName": r".+", "originalText": r".+", "displayName?": r".+"}
_UID = r"[0-9.]{1,64}"
_NUMBERS = "|".join
#: Of each element: its attributes (a "?" behind those that may be left out) with what they may
#: hold, and the elements in it, in order.
_RULES: dict[str, tuple[dict[str, str], str]] = {
    "AuditMessage": (
        {},
        "EventIdentification ActiveParticipant+ AuditSourceIdentification "
        "ParticipantObjectIdentification*",
    ),
    "EventIdentification": (
        {
            "EventActionCode?": r"[CRUDE]",
            "EventDateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
            "EventOutcomeIndicator": r"0|4|8|12",
        },
        "EventID EventTypeCode* EventOutcomeDescription?",
    ),
    "EventID": (_CODE, ""),
    "EventTypeCode": (_CODE, ""),
    "ActiveParticipant": (
        {
            "UserID": r"[^\x00]*",
            "UserIsRequestor": r"true|false",
            "AlternativeUserID?": r".*",
            "UserName?": r".*",
            "NetworkAccessPointID?": r"\S+",
            "NetworkAccessPointTypeCode?": r"[1-5]",
        },
        "RoleIDCode* MediaIdentifier?",
    ),
    "RoleIDCode": (_CODE, ""),
    "AuditSourceIdentification": (
        {"AuditSourceID": r".+", "AuditEnterpriseSiteID?": r".+"},
        "AuditSourceTypeCode*",
    ),
    "AuditSourceTypeCode": ({"csd-code": r"[1-9]"}, ""),
    "ParticipantObjectIdentification": (
        {
            "ParticipantObjectID": r"[^\x00]*",
            "ParticipantObjectTypeCode?": r"[1-4]",
            "ParticipantObjectTypeCodeRole?": _NUMBERS(map(str, range(1, 27))),
            "ParticipantObjectDataLifeCycle?": _NUMBERS(map(str, range(1, 16))),
            "ParticipantObjectSensitivity?": r".+",
        },
        "ParticipantObjectIDTypeCode (ParticipantObjectName|ParticipantObjectQuery) "
        "ParticipantObjectDetail* ParticipantObjectDescription*",
    ),
    "ParticipantObjectIDTypeCode": (_CODE, ""),
    "ParticipantObjectName": ({}, ""),
    "ParticipantObjectQuery": ({}, ""),
    "ParticipantObjectDetail": ({"type": r".+", "value": r"[A-Za-z0-9+/]*={0,2}"}, ""),
    "ParticipantObjectDescription": ({}, "MPPS* Accession* SOPClass*"),
    "SOPClass": ({"UID?": _UID, "NumberOfInstances": r"\d+"}, "Instance*"),
    "Instance": ({"UID": _UID}, ""),
}


def check(element: Element) -> None:
    """Raises AssertionError, naming the element, when the schema does not allow it."""
    assert element.tag in _RULES, f"{element.tag}: no such element"
    attributes, children = _RULES[element.tag]
    _check_attributes(element, attributes)
    names = "".join(f"{child.tag};" for child in element)
    pattern = re.sub(r"(\w+)", r"(?:\1;)", children).replace(" ", "")
    assert re.fullmatch(pattern, names), f"{element.tag} holds {names}"
    if element.tag == "ParticipantObjectQuery":
        assert b64decode(element.text or "", validate=True)
    for child in element:
        check(child)


def _check_attributes(element: Element, attributes: dict[str, str]) -> None:
    required = {name for name in attributes if not name.endswith("?")}
    allowed = {name.removesuffix("?"): values for name, values in attributes.items()}
    assert required <= set(element.attrib), f"{element.tag} lacks {required - set(element.attrib)}"
    for name, value in element.attrib.items():
        assert name in allowed, f"{element.tag}: no attribute {name}"
        assert re.fullmatch(allowed[name], value, re.DOTALL), f"{element.tag} {name}={value!r}"
