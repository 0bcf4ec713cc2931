"""The DICOM conformance statement (PS3.2), made from the configuration and the code that runs."""
