"""Frameworks and models on offer."""
