"""Radiologists' bookmarks and their CT, found and fetched; the plugin makes a data set of them.

A command of its own: nothing here runs in the service.
"""
