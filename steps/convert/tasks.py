"""Names of training tasks: one canonical spelling and the aliases that are understood for it."""

CANONICAL = (
    "object_detection",
    "instance_segmentation",
    "semantic_segmentation",
    "panoptic_segmentation",
    "image_classification",
    "pose_estimation",
    "open_vocabulary_detection",
)

ALIASES = {
    "detection": "object_detection",
    "det": "object_detection",
    "detect": "object_detection",
    "bbox": "object_detection",
    "segmentation": "instance_segmentation",
    "seg": "instance_segmentation",
    "segment": "instance_segmentation",
    "instance": "instance_segmentation",
    "semseg": "semantic_segmentation",
    "semantic": "semantic_segmentation",
    "panoptic": "panoptic_segmentation",
    "classification": "image_classification",
    "classify": "image_classification",
    "cls": "image_classification",
    "pose": "pose_estimation",
    "keypoint": "pose_estimation",
    "keypoints": "pose_estimation",
    "keypoint_detection": "pose_estimation",
    "open_vocabulary": "open_vocabulary_detection",
}

# The word that names a task's own annotation document: annotations_{word}.json.
DOCUMENT_WORDS = {
    "object_detection": "detection",
    "open_vocabulary_detection": "detection",
    "instance_segmentation": "segmentation",
    "image_classification": "classification",
    "pose_estimation": "pose",
}

BOXED = frozenset({"object_detection", "open_vocabulary_detection", "instance_segmentation", "pose_estimation"})
OUTLINED = frozenset({"instance_segmentation", "panoptic_segmentation"})
READS_OUTLINES = OUTLINED | {"semantic_segmentation"}  # which may have mask files instead
READS_KEYPOINTS = frozenset({"pose_estimation"})


class UnknownTask(ValueError):
    """A task name that no spelling matches."""


def canonical_task(name: str) -> str:
    """Gives the canonical name of a task, or raises UnknownTask listing the known ones."""
    word = name.strip().lower().replace("-", "_").replace(" ", "_")
    word = ALIASES.get(word, word)
    if word not in CANONICAL:
        raise UnknownTask(f"unknown task {name!r}; known tasks: {', '.join(CANONICAL)}")
    return word
