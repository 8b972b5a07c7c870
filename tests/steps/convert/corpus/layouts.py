"""The same pictures in every layout, by its id: plain Python that shares nothing with the writers of the product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.steps.convert.corpus import documents, folders
from tests.steps.convert.corpus.sample import Sample

WRITERS: dict[str, Callable[[Path, Sample, str], Path]] = {
    "D1": documents.write_d1,
    "D2": documents.write_d2,
    "D3": documents.write_d3,
    "D4": documents.write_d4,
    "D5": folders.write_d5,
    "COCO": documents.write_coco,
    "VOC": folders.write_voc,
    "YOLO": folders.write_yolo,
    "ImageFolder": folders.write_imagefolder,
}

HOLDS = {
    "object_detection": ("D1", "D2", "D3", "D4", "D5", "COCO", "VOC", "YOLO"),
    "instance_segmentation": ("D1", "D2", "D3", "D4", "D5", "COCO", "YOLO"),
    "pose_estimation": ("D1", "D2", "D3", "D4", "D5", "COCO", "YOLO"),
    "image_classification": ("D1", "D2", "D3", "D4", "ImageFolder"),
}


def write(layout: str, root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """Writes the sample in a layout."""
    root.mkdir(parents=True, exist_ok=True)
    return WRITERS[layout](root, sample, task)
