"""Writes the in-memory dataset as the frameworks read it."""
