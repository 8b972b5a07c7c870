"""Ultralytics YOLO: object detection, from nano to extra large."""

from __future__ import annotations

from types import MappingProxyType

from workflows.frameworks.shapes import Framework, Metric, Model

NAME = "ultralytics"
DETECTION = "object_detection"

# Family → its title and the millions of weights of n, s, m, l, x.
_FAMILIES = {
    "yolo11": ("YOLO11", (2.6, 9.5, 20.1, 25.4, 57.0)),
    "yolov8": ("YOLOv8", (3.2, 11.2, 25.9, 43.7, 68.2)),
    "yolo12": ("YOLO12", (2.6, 9.3, 20.2, 26.5, 59.2)),
    "yolo26": ("YOLO26", (2.6, 10.0, 21.9, 26.3, 59.0)),
}
_SIZES = {"n": "nano", "s": "small", "m": "medium", "l": "large", "x": "extra large"}


def _models() -> dict[str, Model]:
    return {
        f"{family}{letter}": Model(
            name=f"{family}{letter}",
            framework=NAME,
            task=DETECTION,
            title=f"{title} {size}",
            parameters=parameters,
            weights="pt",
        )
        for family, (title, sizes) in _FAMILIES.items()
        for (letter, size), parameters in zip(_SIZES.items(), sizes, strict=True)
    }


FRAMEWORK = Framework(
    name=NAME,
    title="Ultralytics YOLO",
    description="One-stage detectors; start with a nano model, they train in minutes.",
    image="trainer-ultralytics",
    module="steps.train.ultralytics",
    targets=MappingProxyType({DETECTION: "yolo"}),
    models=MappingProxyType(_models()),
    hyperparameters=MappingProxyType(
        {
            "epochs": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "default": 100,
                "description": "passes over the training images",
            },
            "batch": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65_536,
                "default": 16,
                "description": "images per step",
            },
            "image_size": {
                "type": "integer",
                "minimum": 32,
                "maximum": 8192,
                "multipleOf": 32,
                "default": 640,
                "description": "side of the square the model sees, in pixels; a multiple of its stride 32",
            },
            "learning_rate": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1,
                "default": 0.001,
                "description": "initial learning rate, per step; with optimizer auto the framework chooses it",
            },
            "optimizer": {
                "type": "string",
                "enum": ["AdamW", "Adam", "Adamax", "NAdam", "RAdam", "RMSProp", "SGD", "MuSGD", "auto"],
                "default": "AdamW",
                "description": "auto chooses optimizer and learning rate by the number of steps",
            },
            "seed": {
                "type": "integer",
                "minimum": 0,
                "maximum": 2**31 - 1,
                "default": 0,
                "description": "start of all random numbers",
            },
        }
    ),
    resources=MappingProxyType({"gpu": 1, "cpu": 2, "memory": "8Gi", "shared_memory": "1Gi", "workspace": "20Gi"}),
    metrics=MappingProxyType(
        {
            DETECTION: (
                Metric(name="val/mAP50-95", mode="max"),
                Metric(name="val/mAP50", mode="max"),
                Metric(name="val/precision", mode="max"),
                Metric(name="val/recall", mode="max"),
                Metric(name="val/box_loss", mode="min"),
                Metric(name="val/cls_loss", mode="min"),
                Metric(name="val/dfl_loss", mode="min"),
            )
        }
    ),
    most_gpus=1,
    advanced_file="ultralytics_advanced.json",
)
