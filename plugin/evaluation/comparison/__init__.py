"""The AI's bookmarks against radiologists' bookmarks of the same series: `lesionmark compare`."""
