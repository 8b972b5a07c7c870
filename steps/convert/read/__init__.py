"""Reads every layout into the one in-memory dataset."""
