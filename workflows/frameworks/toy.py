"""Toy: a softmax regression from the shape of a box to its class, to try the whole pipeline in seconds."""

from __future__ import annotations

from types import MappingProxyType

from workflows.frameworks.shapes import Framework, Metric, Model

NAME = "toy"
DETECTION = "object_detection"

FRAMEWORK = Framework(
    name=NAME,
    title="Toy",
    description="Learns a box's class from its width and height alone; no GPU, no weights, seconds.",
    image="trainer-toy",
    module="steps.train.toy",
    targets=MappingProxyType({DETECTION: "yolo"}),
    models=MappingProxyType(
        {"softmax": Model(name="softmax", framework=NAME, task=DETECTION, title="Softmax regression on box shapes")}
    ),
    hyperparameters=MappingProxyType(
        {
            "epochs": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "default": 10,
                "description": "passes over the boxes",
            },
            "batch": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65_536,
                "default": 64,
                "description": "boxes per step",
            },
            "learning_rate": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 10,
                "default": 0.5,
                "description": "step size of the gradient descent",
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
    resources=MappingProxyType({"gpu": 0, "cpu": 1, "memory": "1Gi", "shared_memory": "64Mi", "workspace": "2Gi"}),
    advanced_file="toy_advanced.json",
    metrics=MappingProxyType(
        {DETECTION: (Metric(name="val/accuracy", mode="max"), Metric(name="val/loss", mode="min"))}
    ),
)
