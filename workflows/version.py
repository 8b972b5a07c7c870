"""The platform's version, which is also the tag of its images."""

__version__ = "0.1.0"
