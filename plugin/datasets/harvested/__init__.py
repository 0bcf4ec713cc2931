"""Radiologists' bookmarks and their CT images -> a data set in the layout of DeepLesion."""

from plugin.datasets.harvested.builder import Builder
from plugin.datasets.harvested.errors import WrongSecret
from plugin.datasets.harvested.outcome import LeftOut, StudyOutcome, Summary

__all__ = ["Builder", "LeftOut", "StudyOutcome", "Summary", "WrongSecret"]
