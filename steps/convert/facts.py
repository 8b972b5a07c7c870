"""Says a dataset's facts as plain JSON data: classes, counts, split and snapshot."""

from typing import Any

import numpy as np

from steps.convert.dataset import Dataset
from steps.convert.split.resolve import Split
from steps.convert.version import snapshot_id


def class_list(dataset: Dataset) -> list[dict[str, Any]]:
    """Gives the classes in the order of their index."""
    return [{"index": c.index, "id": c.id, "name": c.name} for c in dataset.classes]


def counts(dataset: Dataset) -> dict[str, Any]:
    """Counts images, trained annotations (all and per class), negative and unlabeled images."""
    keep = dataset.trained
    per_class = np.bincount(dataset.annotation_class[keep], minlength=len(dataset.classes)).tolist()
    with_labels = len(np.unique(dataset.annotation_image[keep]))
    labeled = int(dataset.image_labeled.sum())
    return {
        "images": len(dataset.image_names),
        "annotations": int(keep.sum()),
        "negatives": labeled - with_labels,
        "unlabeled": len(dataset.image_names) - labeled,
        "per_class": {c.name: n for c, n in zip(dataset.classes, per_class, strict=True)},
    }


def split_facts(split: Split) -> dict[str, Any]:
    """Tells how the split came about and how many images each part got."""
    sizes = {part: len(ids) for part, ids in split.parts().items()}
    how = {"source": split.source, "method": split.method, "ratio": list(split.ratio), "seed": split.seed}
    return {**how, "counts": {**sizes, "left_out": len(split.left_out)}}


def snapshot(dataset: Dataset, split: Split, *, version_hash: str, dataset_id: str) -> dict[str, Any]:
    """Gives the immutable record a job trains on; its id is made of hash, split, classes and counts."""
    content = {
        "dataset_version_hash": version_hash,
        "classes": class_list(dataset),
        "split": {part: list(ids) for part, ids in split.parts().items()},
        "counts": counts(dataset),
    }
    return {
        "snapshot_id": snapshot_id(content),
        "dataset_id": dataset_id,
        "layout": dataset.layout,
        "task": dataset.task,
        **content,
        "split_resolved": split_facts(split),
    }
