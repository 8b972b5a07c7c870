"""Custom: an image and a command of the user's, which speak the trainer contract."""

from __future__ import annotations

from types import MappingProxyType

from workflows.frameworks.shapes import Framework
from workflows.tasks import TASKS

NAME = "custom"

FRAMEWORK = Framework(
    name=NAME,
    title="Your own trainer",
    description="Any image and command that speak the trainer contract; steps/trainer_sdk.py is the one file to copy.",
    image=None,
    module=None,
    # Detection comes as YOLO; the other tasks' data stay as they were fetched, for the trainer to read.
    targets=MappingProxyType({task: "yolo" if task == "object_detection" else "none" for task in TASKS}),
    models=MappingProxyType({}),
    hyperparameters=MappingProxyType(
        {
            "epochs": {
                "type": "integer",
                "minimum": 1,
                "default": 10,
                "description": "passes over the training images",
            },
            "batch": {"type": "integer", "minimum": 1, "default": 16, "description": "images per step"},
            "image_size": {
                "type": "integer",
                "minimum": 8,
                "description": "side of the square the model sees, in pixels",
            },
            "learning_rate": {
                "type": "number",
                "exclusiveMinimum": 0,
                "default": 0.001,
                "description": "initial learning rate",
            },
            "optimizer": {"type": "string", "description": "as your trainer names it"},
            "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "start of all random numbers"},
        }
    ),
    resources=MappingProxyType({"gpu": 0, "cpu": 2, "memory": "4Gi", "shared_memory": "512Mi", "workspace": "20Gi"}),
    any_model=True,
    requires_checkpoint=False,
)
