"""Collects findings about rows of a dataset: each with file, image id, annotation id and cure, in bounded memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from steps.convert.dataset import Dataset
from steps.convert.problems import Level, Problem

KEPT = 100_000  # findings of one kind that are kept one by one


class Findings:
    """The problems found so far, and the ways to add to them."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.problems: list[Problem] = []

    def add(
        self, code: str, message: str, cure: str, *, level: Level = "error", row: int | None = None, file: Any = None
    ) -> None:
        """Adds a finding about an image row, or about the dataset."""
        file = file or (self.dataset.document if row is None else document_of(self.dataset, row))
        id_ = None if row is None else image_id(self.dataset, row)
        self.problems.append(Problem(level=level, code=code, file=file, image_id=id_, message=message, cure=cure))

    def annotations(
        self, mask: np.ndarray, code: str, say: Callable[[int], str] | str, cure: str, *, level: Level = "error"
    ) -> None:
        """Adds a finding for each marked annotation row."""
        found = np.flatnonzero(mask)
        images = self.dataset.annotation_image[found[:KEPT]].tolist()
        ids = self.dataset.annotation_ids[found[:KEPT]].tolist()
        for at, row, id_ in zip(found[:KEPT].tolist(), images, ids, strict=True):
            self.problems.append(
                Problem(
                    level=level,
                    code=code,
                    file=document_of(self.dataset, row),
                    image_id=image_id(self.dataset, row),
                    annotation_id=id_,
                    message=say if isinstance(say, str) else say(at),
                    cure=cure,
                )
            )
        self._more(code, len(found), cure, level, "annotations")

    def images(
        self, mask: np.ndarray, code: str, say: Callable[[int], str], cure: str, *, level: Level = "error"
    ) -> None:
        """Adds a finding for each marked image row."""
        found = np.flatnonzero(mask)
        for row in found[:KEPT].tolist():
            self.add(code, say(row), cure, level=level, row=row)
        self._more(code, len(found), cure, level, "images")

    def _more(self, code: str, count: int, cure: str, level: Level, what: str) -> None:
        if count > KEPT:
            self.add(code, f"the same holds for {count - KEPT} more {what}, which are not listed", cure, level=level)


def image_id(dataset: Dataset, row: int) -> int | str:
    """Gives an image's id as the dataset writes it."""
    return dataset.image_keys[row] if dataset.image_keys else int(dataset.image_ids[row])


def document_of(dataset: Dataset, row: int) -> str:
    """Gives the file that an image's labels stand in: its own where the layout has one for each."""
    return dataset.image_documents[row] if dataset.image_documents else dataset.document
