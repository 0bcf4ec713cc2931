"""`lesionmark doctor`: whether an installation works, check by check, and what to do if not."""
