"""The tasks a model can be trained for, and the other words people use for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TASKS: tuple[str, ...] = (
    "object_detection",
    "instance_segmentation",
    "semantic_segmentation",
    "panoptic_segmentation",
    "image_classification",
    "pose_estimation",
    "open_vocabulary_detection",
)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "detection": "object_detection",
        "detect": "object_detection",
        "det": "object_detection",
        "object": "object_detection",
        "segmentation": "instance_segmentation",
        "segment": "instance_segmentation",
        "seg": "instance_segmentation",
        "instance": "instance_segmentation",
        "semantic": "semantic_segmentation",
        "semseg": "semantic_segmentation",
        "panoptic": "panoptic_segmentation",
        "classification": "image_classification",
        "classify": "image_classification",
        "cls": "image_classification",
        "pose": "pose_estimation",
        "keypoints": "pose_estimation",
        "keypoint_detection": "pose_estimation",
        "open_vocabulary": "open_vocabulary_detection",
        "open_vocab": "open_vocabulary_detection",
    }
)


def canonical_task(text: str) -> str | None:
    """Returns the one name of a task written in any of the accepted ways, or None where it is not known."""
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    return word if word in TASKS else ALIASES.get(word)
