"""`tiphys dataset …`: each command takes a registered dataset's id, or a path and then needs no API."""

from api.cli.datasets.app import dataset

__all__ = ["dataset"]
