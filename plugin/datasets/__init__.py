"""Series to develop and test with."""
