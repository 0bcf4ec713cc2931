"""The whole statement, in the order of PS3.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.conformance.behaviour import behaviour
from dicom_node.conformance.content import content
from dicom_node.conformance.network import network
from dicom_node.conformance.overview import overview
from dicom_node.conformance.profiles import profiles
from dicom_node.conformance.security import security
from dicom_node.conformance.settings import configuration
from dicom_node.conformance.subject import subject

if TYPE_CHECKING:
    from dicom_node.config import Settings

_CHAPTERS = (overview, network, behaviour, security, configuration, content, profiles)


def statement(settings: Settings, release: str) -> str:
    """Markdown, for a release of the program.

    Raises ConfigError where the plugin of the configuration is not there.
    """
    about = subject(settings, release)
    return "\n\n".join(chapter(about) for chapter in _CHAPTERS) + "\n"
