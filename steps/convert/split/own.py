"""Takes the split that a dataset's own layout carries: folders, lists of names, or a field of each image."""

import numpy as np

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL, Bools, Dataset
from steps.convert.split.request import PARTS

METHODS = {"D3": "field", "D4": "field", "VOC": "lists"}  # all others: folders
PLACES = {"train": TRAIN, "val": VAL, "test": TEST}


def own_method(dataset: Dataset) -> str:
    """Names by what the layout says which image belongs where."""
    return METHODS.get(dataset.layout, "folders")


def own_parts(dataset: Dataset, allowed: Bools) -> dict[int, str]:
    """Maps the ids of the allowed images to the part that the layout puts them into."""
    assert dataset.image_parts is not None
    placed: dict[int, str] = {}
    for part in PARTS:
        mask = allowed & (dataset.image_parts == PLACES[part])
        placed.update(dict.fromkeys(dataset.image_ids[mask].tolist(), part))
    return placed


def has_own(dataset: Dataset) -> bool:
    """Tells whether the layout carries a split."""
    return dataset.image_parts is not None and bool((dataset.image_parts != NO_PART).any())


def shares(placed: dict[int, str]) -> tuple[float, float, float]:
    """Gives how large the three parts are, as shares of all."""
    counts = np.array([sum(1 for where in placed.values() if where == part) for part in PARTS], dtype=float)
    train, val, test = np.round(counts / max(1.0, counts.sum()), 4).tolist()
    return train, val, test
