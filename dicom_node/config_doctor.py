"""The table [doctor] of config.toml."""

from __future__ import annotations

from dicom_node.config_tables import AETitle, PeerTls, Seconds, Table


class Doctor(Table):
    """[doctor]: how `lesionmark doctor` tries the running node."""

    ae_title: AETitle = "LMDOCTOR"
    report_within_s: Seconds = 600.0
    tls: PeerTls | None = None
