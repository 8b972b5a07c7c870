"""Resolves a split into explicit lists of image ids."""
