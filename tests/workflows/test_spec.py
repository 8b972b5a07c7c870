"""What a job may say, and what a person is told where it says something else."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.spec import JobSpec, SpecError

EXAMPLE = """
name: digits-first
project: numbers
framework: ultralytics
model: yolo11n
task: object_detection
dataset: digits
hyperparameters: {epochs: 12, batch: 16, image_size: 160, learning_rate: 0.002, optimizer: AdamW, seed: 0}
advanced_config: {nbs: 16, mosaic: 0.0}
split: {method: auto, ratio: [0.8, 0.2], seed: 42}
primary_metric: {name: val/mAP50-95, mode: max}
resources: {gpu: 1, cpu: 2, memory: 8Gi, shared_memory: 1Gi}
limits: {total: 12h, no_heartbeat: 30m}
labels: {team: vision}
"""

GOOD: dict[str, Any] = {"framework": "ultralytics", "model": "yolo11n", "dataset": "digits"}
CUSTOM: dict[str, Any] = {"framework": "custom", "image": "own:1", "command": ["python", "t.py"], "dataset": "digits"}


def refused(fields: dict[str, Any]) -> dict[str, tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        JobSpec.from_mapping(fields)
    assert str(caught.value)
    return {problem.field: (problem.message, problem.cure) for problem in caught.value.problems}


def test_reads_every_field_of_a_job_file() -> None:
    spec = JobSpec.from_yaml(EXAMPLE)
    assert spec.name == "digits-first"
    assert spec.hyperparameters.learning_rate == 0.002
    assert spec.advanced_config == {"nbs": 16, "mosaic": 0.0}
    assert spec.split.ratio == (0.8, 0.2)
    assert spec.resources.memory is not None
    assert spec.resources.memory.bytes == 8 * 2**30
    assert spec.limits.no_heartbeat is not None
    assert spec.limits.no_heartbeat.seconds == 1800
    assert spec.labels == {"team": "vision"}


# Each row: what is given beside a good job, the field that is told, a part of the message, a part of the cure.
BAD: list[tuple[dict[str, Any], str, str, str]] = [
    ({"framework": "ultralitics"}, "framework", "no framework 'ultralitics'", "did you mean ultralytics"),
    ({"snapshot": "snap_1"}, "snapshot", "", ""),
    (
        {"snapshot": "snap_0123456789ab", "split": {"ratio": [0.5, 0.5]}},
        "split",
        "the snapshot says which image trains",
        "leave it out",
    ),
    ({"convert": "coco"}, "convert", "brings its own", "framework: custom"),
    ({"framework": "xyz"}, "framework", "no framework", "use one of: ultralytics, toy, custom"),
    ({"framework": None}, "framework", "missing", "add framework"),
    ({"model": "yolo11nn"}, "model", "no model 'yolo11nn'", "did you mean yolo11n"),
    ({"model": "softmax"}, "model", "no model", "write framework: toy"),
    ({"model": None}, "model", "missing", "add model: yolo11n"),
    ({"task": "cls"}, "task", "does not train image_classification", "use one of: object_detection"),
    ({"task": "detektion"}, "task", "no task", "object_detection"),
    ({"dataset": None}, "dataset", "missing", "add dataset"),
    ({"dataset": 42}, "dataset", "42 is not text", 'in quotes: "42"'),
    ({"dataset": "a\nb"}, "dataset", "line break", "one line"),
    ({"name": "{{workflow.name}}"}, "name", "reference", "without '{{'"),
    ({"project": "a/b"}, "project", "checkpoints' path", "letters, digits"),
    ({"image": "own:1"}, "image", "brings its own", "framework: custom"),
    ({"command": ["x"]}, "command", "brings its own", "framework: custom"),
    ({"colour": 1}, "colour", "no such field", "use one of: name, project"),
    ({"modle": "yolo11n"}, "modle", "no such field", "did you mean model"),
    ({"epochs": 5}, "epochs", "no such field", "hyperparameters: {epochs: …}"),
    ({"hyperparameters": {"epochs": 0}}, "hyperparameters.epochs", "0 is out of range", "at least 1"),
    ({"hyperparameters": {"epochs": -3}}, "hyperparameters.epochs", "-3 is out of range", "at least 1"),
    ({"hyperparameters": {"epochs": 1.5}}, "hyperparameters.epochs", "1.5 is not a whole number", "whole number"),
    ({"hyperparameters": {"epochs": "5"}}, "hyperparameters.epochs", "text, not a number", "write 5 without quotes"),
    ({"hyperparameters": {"epochs": True}}, "hyperparameters.epochs", "not a whole number", "whole number"),
    ({"hyperparameters": {"learning_rate": "1e-3"}}, "hyperparameters.learning_rate", "text", "write 1e-3 without"),
    ({"hyperparameters": {"learning_rate": 0}}, "hyperparameters.learning_rate", "out of range", "more than 0"),
    ({"hyperparameters": {"learning_rate": float("nan")}}, "hyperparameters.learning_rate", "nan", "a number"),
    ({"hyperparameters": {"image_size": 100}}, "hyperparameters.image_size", "no multiple of 32", "96 or 128"),
    ({"hyperparameters": {"optimizer": "adamw"}}, "hyperparameters.optimizer", "not one of", "did you mean AdamW"),
    ({"hyperparameters": {"batch_size": 4}}, "hyperparameters.batch_size", "no such field", "write batch; what only"),
    ({"hyperparameters": {"epoch": 4}}, "hyperparameters.epoch", "no such field", "goes into advanced_config"),
    ({"hyperparameters": {"mosaic": 1}}, "hyperparameters.mosaic", "own setting", "advanced_config: {mosaic: 1}"),
    ({"hyperparameters": [1]}, "hyperparameters", "no mapping", "hyperparameters: {key: value"),
    (
        {"hyperparameters": {"optimizer": "auto", "learning_rate": 0.1}},
        "hyperparameters.learning_rate",
        "would ignore yours",
        "name an optimizer",
    ),
    (
        {"advanced_config": {"mosiac": 1}},
        "advanced_config.mosiac",
        "no setting",
        "did you mean mosaic? Known: agnostic_nms",
    ),
    ({"advanced_config": {"lr0": 1}}, "advanced_config.lr0", "set by the job", "hyperparameters.learning_rate"),
    ({"advanced_config": {"mosaic": 3}}, "advanced_config.mosaic", "out of range", "at least 0 and at most 1"),
    ({"advanced_config": {"nbs": "many"}}, "advanced_config.nbs", "not a whole number", "whole number"),
    ({"advanced_config": {"cos_lr": 1}}, "advanced_config.cos_lr", "not true or false", "true or false"),
    ({"advanced_config": {"save_dir": "/x"}}, "advanced_config.save_dir", "no setting", "Known:"),
    ({"split": {"ratio": [0.8, 0.3]}}, "split.ratio", "adds up to 1.1", "add up to 1"),
    ({"split": {"ratio": [80, 20]}}, "split.ratio", "empty or full", "[0.8, 0.2]"),
    ({"split": {"ratio": [1.0, 0.0]}}, "split.ratio", "empty or full", "more than 0"),
    ({"split": {"method": "magic"}}, "split.method", "'magic' is not understood", "use_dataset"),
    ({"split": {"method": "manual"}}, "split.splits", "needs it", "method: auto"),
    ({"split": {"splits": {1: "trian"}}}, "split.splits.1", "not understood", "train, val or test"),
    ({"split": {"ratio": [0.8, 0.2], "train_ratio": 0.8}}, "split.ratio", "say the same", "drop them"),
    ({"primary_metric": {"name": "mAP50"}}, "primary_metric.name", "does not report", "did you mean val/mAP50"),
    ({"primary_metric": {"name": "val/mAP50", "mode": "up"}}, "primary_metric.mode", "'up'", "max or min"),
    ({"resources": {"memory": "8GB"}}, "resources.memory", "not an amount", "write 8Gi"),
    ({"resources": {"memory": 8}}, "resources.memory", "no unit", "8Gi"),
    ({"resources": {"gpu": -1}}, "resources.gpu", "out of range", "at least 0"),
    ({"resources": {"gpus": 1}}, "resources.gpus", "no such field", "write gpu"),
    ({"resources": {"cpu": "two"}}, "resources.cpu", "not a number of cores", "500m"),
    (
        {"resources": {"memory": "1Gi", "shared_memory": "2Gi"}},
        "resources.shared_memory",
        "more than the memory",
        "at most 1Gi",
    ),
    ({"limits": {"total": 90}}, "limits.total", "no unit", "90s"),
    ({"limits": {"total": "1.5h"}}, "limits.total", "not a duration", "1h30m"),
    ({"limits": {"total": "0s"}}, "limits.total", "no time", "12h"),
    ({"limits": {"total": "10m", "no_heartbeat": "1h"}}, "limits.no_heartbeat", "longer than", "at most 10m"),
    ({"labels": {"team": 7}}, "labels.team", "7 is not text", '"7"'),
    ({"labels": {"-x": "y"}}, "labels.-x", "cannot name a label", "letters, digits"),
]


@pytest.mark.parametrize(("fields", "field", "message", "cure"), BAD, ids=[f"{row[1]}:{row[2]}" for row in BAD])
def test_names_the_field_and_the_cure(fields: dict[str, Any], field: str, message: str, cure: str) -> None:
    problems = refused({**GOOD, **fields})
    assert list(problems) == [field]
    assert message in problems[field][0]
    assert cure in problems[field][1]


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"image": None}, "image", "framework custom needs it"),
        ({"command": None}, "command", "framework custom needs it"),
        ({"command": "python t.py"}, "command", "no list"),
        ({"command": []}, "command", "framework custom needs it"),
        ({"image": "own image"}, "image", "no image name"),
        ({"command": ["sh", "-c", "echo {{inputs.x}}"]}, "command.2", "reference"),
        ({"command": ["run", "$(JOB_ID)"]}, "command.1", "replaced in a cluster"),
        ({"advanced_config": {"a": [1, float("inf")]}}, "advanced_config.a.1", "inf"),
        ({"model": "a b"}, "model", "cannot name a model"),
    ],
)
def test_refuses_what_a_custom_trainer_cannot_be(fields: dict[str, Any], field: str, message: str) -> None:
    problems = refused({**CUSTOM, **fields})
    assert list(problems) == [field]
    assert message in problems[field][0]


def test_custom_takes_its_own_settings_and_metric() -> None:
    spec = JobSpec.from_mapping(
        {**CUSTOM, "advanced_config": {"deep": {"list": [1, None, "x"]}}, "primary_metric": {"name": "my_error"}}
    )
    assert spec.command == ("python", "t.py")
    assert spec.primary_metric is not None
    assert spec.primary_metric.mode == "min"


def test_a_framework_refuses_hyperparameters_it_has_no_use_for() -> None:
    problems = refused({"framework": "toy", "dataset": "d", "hyperparameters": {"image_size": 64}})
    assert problems["hyperparameters.image_size"] == (
        "toy does not use it",
        "leave it out: toy takes epochs, batch, learning_rate, seed",
    )


def test_tells_everything_at_once_in_the_order_of_the_file() -> None:
    problems = refused(
        {"framework": "ultralytics", "model": "yolo", "limits": {"total": 5}, "hyperparameters": {"epochs": 0}}
    )
    assert list(problems) == ["model", "dataset", "hyperparameters.epochs", "limits.total"]


def test_the_text_is_a_list_a_person_can_go_through() -> None:
    with pytest.raises(SpecError) as caught:
        JobSpec.from_mapping({**GOOD, "hyperparameters": {"epochs": 0}})
    assert str(caught.value) == "hyperparameters.epochs: 0 is out of range. Give at least 1 and at most 100000."
    with pytest.raises(SpecError) as caught:
        JobSpec.from_mapping({"framework": "toy", "model": "x"})
    assert str(caught.value).splitlines()[0] == "2 problems:"
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize("word", ["detection", "det", "Object-Detection", "object_detection"])
def test_understands_other_words_for_a_task(word: str) -> None:
    assert JobSpec.from_mapping({**GOOD, "task": word}).task == "object_detection"


def test_names_are_found_whatever_their_case() -> None:
    spec = JobSpec.from_mapping({"framework": "Ultralytics/YOLO11n", "dataset": "digits"})
    assert (spec.framework, spec.model) == ("ultralytics", "yolo11n")


def test_direct_construction_is_checked_in_the_same_words() -> None:
    with pytest.raises(SpecError, match="no framework 'ultra'"):
        JobSpec(framework="ultra", dataset="d")


def test_is_frozen() -> None:
    spec = JobSpec.from_mapping(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]  # that mypy refuses it too is the point


def test_resolving_fills_in_the_defaults_once() -> None:
    spec = JobSpec.from_mapping({**GOOD, "hyperparameters": {"epochs": 3}}).resolved()
    assert spec.task == "object_detection"
    assert spec.hyperparameters.epochs == 3
    assert spec.hyperparameters.batch == 16
    assert spec.hyperparameters.optimizer == "AdamW"
    assert spec.primary_metric is not None
    assert spec.primary_metric.name == "val/mAP50-95"
    assert spec.resources.gpu == 1
    assert spec.limits.total == "12h"
    assert spec.resolved() == spec


def test_resolving_keeps_what_depends_on_what_was_given() -> None:
    spec = JobSpec.from_mapping(
        {**GOOD, "resources": {"memory": "512Mi"}, "limits": {"total": "10m"}, "hyperparameters": {"optimizer": "auto"}}
    ).resolved()
    assert spec.resources.shared_memory == "256Mi"
    assert spec.limits.no_heartbeat == "10m"
    assert spec.hyperparameters.learning_rate is None


def test_the_json_schema_describes_the_file() -> None:
    schema = JobSpec.model_json_schema()
    assert schema["required"] == ["framework", "dataset"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(JobSpec.model_fields)
