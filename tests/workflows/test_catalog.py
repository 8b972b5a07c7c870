"""The catalogue: what can be trained, and that it says so truly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from workflows.catalog import FRAMEWORKS, find_framework, find_model, hyperparameter_schema
from workflows.problems import SpecError
from workflows.spec import Hyperparameters, JobSpec
from workflows.tasks import TASKS
from workflows.values import fault

ROOT = Path(__file__).parents[2]
TRAINER = ROOT / ".venvs" / "ultralytics" / "bin" / "python"


def test_finds_a_model() -> None:
    model = find_model("ultralytics", "yolo11n")
    assert (model.task, model.weights, model.parameters) == ("object_detection", "pt", 2.6)
    assert find_framework("toy").module == "steps.train.toy"


@pytest.mark.parametrize(
    ("framework", "model", "cure"),
    [("ultralytics", "yolo13n", "yolo1"), ("toy", "yolo11n", "framework: ultralytics"), ("tui", "x", "use one of")],
)
def test_names_near_matches(framework: str, model: str, cure: str) -> None:
    with pytest.raises(SpecError) as caught:
        find_model(framework, model)
    assert cure in caught.value.problems[0].cure


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_agrees_with_itself(name: str) -> None:
    home = FRAMEWORKS[name]
    assert home.name == name
    assert set(home.targets) <= set(TASKS)
    assert set(home.targets.values()) <= {"yolo", "none"}
    assert set(home.hyperparameters) <= set(Hyperparameters.model_fields)
    assert {"epochs", "batch", "learning_rate"} <= set(home.hyperparameters), "the contract requires these variables"
    assert (home.image is None) == (home.module is None)
    for model in home.models.values():
        assert model.framework == name
        assert model.task in home.tasks
    for schema in [*home.hyperparameters.values(), *home.advanced.values()]:
        assert schema["description"]
        assert "default" not in schema or fault(schema, schema["default"]) is None


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_its_defaults_make_a_valid_job(name: str) -> None:
    own = {"image": "own:1", "command": ["train"]} if FRAMEWORKS[name].image is None else {}
    for model in [*FRAMEWORKS[name].models] or [None]:
        spec = JobSpec.from_mapping({"framework": name, "model": model, "dataset": "d", **own}).resolved()
        assert spec.task is not None
        assert spec.hyperparameters.epochs is not None
        given = spec.hyperparameters.model_dump(exclude_none=True)
        jsonschema.validate(given, hyperparameter_schema(name))


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_its_schema_is_a_json_schema(name: str) -> None:
    schema = hyperparameter_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"epochs": 0}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"unheard_of": 1}, schema)


def test_the_platform_keeps_what_is_its_own() -> None:
    owned = {
        "data",
        "project",
        "name",
        "epochs",
        "batch",
        "imgsz",
        "lr0",
        "optimizer",
        "seed",
        "device",
        "resume",
        "save_dir",
    }
    assert not owned & set(FRAMEWORKS["ultralytics"].advanced)
    assert {"mosaic", "nbs", "fliplr", "patience", "freeze"} <= set(FRAMEWORKS["ultralytics"].advanced)


@pytest.mark.parametrize(("framework", "python"), [("ultralytics", TRAINER), ("toy", sys.executable)])
def test_the_settings_are_those_the_trainer_understands(framework: str, python: str | Path) -> None:
    command = [python, "-m", f"steps.train.{framework}", "--advanced-keys"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout
    written = (ROOT / "workflows" / "frameworks" / f"{framework}_advanced.json").read_text("utf-8")
    assert printed == written, "make catalogue"


def test_nothing_here_imports_hera() -> None:
    code = (
        "import sys, workflows, workflows.spec, workflows.catalog, workflows.keys, workflows.engine\n"
        "workflows.JobSpec, workflows.Run\n"
        "sys.exit('hera' in sys.modules or 'httpx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0
