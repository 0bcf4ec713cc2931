"""The codes that a report uses, each with the meaning that viewers match (PS3.16, SNOMED CT).

DCM codes are defined in PS3.16 Annex D. Meanings are spelled as viewers compare them, case
and all; the ones of the axes differ from the preferred terms of SNOMED CT.
"""

from __future__ import annotations

from typing import Final

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ChestCADSRStorage, ColonCADSRStorage, MammographyCADSRStorage

from plugin.bookmark import LesionType

# Document, TID 1500 "Measurement Report" (PS3.16 Annex A) and the templates it includes.
IMAGING_MEASUREMENT_REPORT: Final = Code("126000", "DCM", "Imaging Measurement Report")
#: SR Storage classes whose reports programs write (PS3.4 B.5).
CAD_REPORTS: Final = frozenset({MammographyCADSRStorage, ChestCADSRStorage, ColonCADSRStorage})
#: CID 7021 "Measurement Report Document Titles".
MEASUREMENT_REPORTS: Final = (
    IMAGING_MEASUREMENT_REPORT,
    Code("126001", "DCM", "Oncology Measurement Report"),
    Code("126002", "DCM", "Dynamic Contrast MR Measurement Report"),
    Code("126003", "DCM", "PET Measurement Report"),
)
LANGUAGE: Final = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en", "RFC5646", "English")
OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
PERSON: Final = Code("121006", "DCM", "Person")
DEVICE: Final = Code("121007", "DCM", "Device")
PERSON_OBSERVER_NAME: Final = Code("121008", "DCM", "Person Observer Name")
DEVICE_OBSERVER_UID: Final = Code("121012", "DCM", "Device Observer UID")
DEVICE_OBSERVER_NAME: Final = Code("121013", "DCM", "Device Observer Name")
DEVICE_OBSERVER_MODEL: Final = Code("121015", "DCM", "Device Observer Model Name")
PROCEDURE_REPORTED: Final = Code("121058", "DCM", "Procedure Reported")
CT_UNSPECIFIED_BODY_REGION: Final = Code("25045-6", "LN", "CT unspecified body region")
IMAGING_MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
NARRATIVE_SUMMARY: Final = Code("111412", "DCM", "Narrative Summary")
COMMENT: Final = Code("121106", "DCM", "Comment")
PROCESSING_EQUIPMENT: Final = Code("109102", "DCM", "Processing Equipment")
#: CID 7009 "Purpose of Reference to Predecessor Report".
REPLACED_REPORT: Final = Code("121360", "DCM", "Replaced report")

# Key images and key object selection.
SOURCE_IMAGE: Final = Code("121322", "DCM", "Source image for image processing operation")
OF_INTEREST: Final = Code("113000", "DCM", "Of Interest")
KEY_OBJECT_DESCRIPTION: Final = Code("113012", "DCM", "Key Object Description")

# What became of the detection as a whole (CID 6047).
FINDINGS_SUMMARY: Final = Code("111017", "DCM", "CAD Processing and Findings Summary")
WITHOUT_FINDINGS: Final = Code("111241", "DCM", "All algorithms succeeded; without findings")
WITH_FINDINGS: Final = Code("111242", "DCM", "All algorithms succeeded; with findings")

# Image library, TID 1600 to 1604.
IMAGE_LIBRARY: Final = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP: Final = Code("126200", "DCM", "Image Library Group")
SOURCE: Final = Code("260753009", "SCT", "Source")
MODALITY: Final = Code("121139", "DCM", "Modality")
CT: Final = Code("CT", "DCM", "Computed Tomography")
FRAME_OF_REFERENCE_UID: Final = Code("112227", "DCM", "Frame of Reference UID")
PIXEL_DATA_ROWS: Final = Code("110910", "DCM", "Pixel Data Rows")
PIXEL_DATA_COLUMNS: Final = Code("110911", "DCM", "Pixel Data Columns")
HORIZONTAL_PIXEL_SPACING: Final = Code("111026", "DCM", "Horizontal Pixel Spacing")
VERTICAL_PIXEL_SPACING: Final = Code("111066", "DCM", "Vertical Pixel Spacing")

# One lesion, TID 1501 "Measurement and Qualitative Evaluation Group".
MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER: Final = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING: Final = Code("121071", "DCM", "Finding")
LESION: Final = Code("52988006", "SCT", "Lesion")
MORPHOLOGICALLY_ABNORMAL_STRUCTURE: Final = Code(
    "49755003", "SCT", "Morphologically Abnormal Structure"
)
FINDING_SITE: Final = Code("363698007", "SCT", "Finding Site")
ALGORITHM: Final = Code("111001", "DCM", "Algorithm Name")
ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")
LONG_AXIS: Final = Code("103339001", "SCT", "Long Axis")
SHORT_AXIS: Final = Code("103340004", "SCT", "Short Axis")
LONG_AXIS_SRT: Final = Code("G-A185", "SRT", "Long Axis")
SHORT_AXIS_SRT: Final = Code("G-A186", "SRT", "Short Axis")
MAJOR_AXIS: Final = Code("131187009", "SCT", "Major Axis")
MINOR_AXIS: Final = Code("131188004", "SCT", "Minor Axis")
MAJOR_AXIS_SRT: Final = Code("G-A193", "SRT", "Major Axis")
MINOR_AXIS_SRT: Final = Code("G-A194", "SRT", "Minor Axis")
CERTAINTY: Final = Code("111012", "DCM", "Certainty of Finding")
ATTENUATION: Final = Code("112031", "DCM", "Attenuation Coefficient")
MEAN: Final = Code("373098007", "SCT", "Mean")
VOLUME: Final = Code("118565006", "SCT", "Volume")
SOURCE_OF_MEASUREMENT: Final = Code("121112", "DCM", "Source of Measurement")

# Units (UCUM).
MILLIMETRE: Final = Code("mm", "UCUM", "millimeter")
CUBIC_MILLIMETRE: Final = Code("mm3", "UCUM", "cubic millimeter")
HOUNSFIELD: Final = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT: Final = Code("%", "UCUM", "Percent")
PIXELS: Final = Code("{pixels}", "UCUM", "Pixels")

#: Where a lesion of each type lies (SNOMED CT body structures).
SITES: Final[dict[LesionType, Code]] = {
    LesionType.BONE: Code("272673000", "SCT", "Bone"),
    LesionType.ABDOMEN: Code("818981001", "SCT", "Abdomen"),
    LesionType.MEDIASTINUM: Code("72410000", "SCT", "Mediastinum"),
    LesionType.LIVER: Code("10200004", "SCT", "Liver"),
    LesionType.LUNG: Code("39607008", "SCT", "Lung"),
    LesionType.KIDNEY: Code("64033007", "SCT", "Kidney"),
    LesionType.SOFT_TISSUE: Code("87784001", "SCT", "Soft tissue"),
    LesionType.PELVIS: Code("816092008", "SCT", "Pelvis"),
}


def item(code: Code) -> Dataset:
    """The code as an item of a Code Sequence (PS3.3 Table 8.8-1)."""
    dataset = Dataset()
    dataset.CodeValue = code.value
    dataset.CodingSchemeDesignator = code.scheme_designator
    dataset.CodeMeaning = code.meaning
    return dataset
