"""Looks a dataset through and tells everything that is wrong with it."""
