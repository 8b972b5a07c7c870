"""Frameworks and models, as the API tells them."""

from __future__ import annotations

import jsonschema
import pytest
from fastapi.testclient import TestClient

from workflows.catalog import FRAMEWORKS
from workflows.spec import JobSpec

TRAINER = "/api/v1/trainer"
MODELS = [(home.name, model) for home in FRAMEWORKS.values() for model in home.models]


def test_frameworks_are_listed(client: TestClient) -> None:
    items = client.get(f"{TRAINER}/frameworks").json()["items"]
    assert [item["name"] for item in items] == list(FRAMEWORKS)
    by_name = {item["name"]: item for item in items}
    assert "yolo11n" in by_name["ultralytics"]["models"]
    assert by_name["ultralytics"]["tasks"] == ["object_detection"]
    assert by_name["custom"]["image"] is None


@pytest.mark.parametrize("name", list(FRAMEWORKS))
def test_a_frameworks_defaults_satisfy_its_own_schema(client: TestClient, name: str) -> None:
    found = client.get(f"{TRAINER}/frameworks/{name}").json()
    for schema in (found["hyperparameters"], found["advanced_config"]):
        jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found["defaults"], found["hyperparameters"])
    assert found["defaults"]["epochs"] >= 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"epochs": 0}, found["hyperparameters"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"unheard_of": 1}, found["hyperparameters"])


@pytest.mark.parametrize(("framework", "model"), MODELS)
def test_every_model_tells_the_shortest_job_that_trains_it(client: TestClient, framework: str, model: str) -> None:
    found = client.get(f"{TRAINER}/models/{framework}/{model}").json()
    assert (found["framework"], found["name"]) == (framework, model)
    spec = JobSpec.from_mapping(found["example"]).resolved()
    assert spec.task == found["task"]
    assert spec.primary_metric is not None
    assert spec.primary_metric.model_dump() == found["metrics"][0]
    assert spec.hyperparameters.model_dump(exclude_none=True) == found["defaults"]


@pytest.mark.parametrize(
    ("query", "framework", "some"),
    [("", None, "softmax"), ("?framework=toy", "toy", "softmax"), ("?task=detection", None, "yolo11n")],
)
def test_models_are_listed_by_framework_and_task(
    client: TestClient, query: str, framework: str | None, some: str
) -> None:
    items = client.get(f"{TRAINER}/models{query}").json()["items"]
    assert some in [item["name"] for item in items]
    assert framework is None or {item["framework"] for item in items} == {framework}


def test_no_model_knows_this_task_yet(client: TestClient) -> None:
    assert client.get(f"{TRAINER}/models?task=pose").json() == {"items": []}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("frameworks/ultralitics", 404, "did you mean ultralytics"),
        ("models/ultralytics/yolo11", 404, "did you mean yolo11"),
        ("models/toy/yolo11n", 404, "ultralytics"),
        ("models/nothing/x", 404, "use one of"),
        ("models/custom/mine", 404, "frameworks/custom"),
        ("models?framework=nothing", 404, "use one of"),
        ("models?task=flying", 422, "object_detection"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(client: TestClient, path: str, status: int, words: str) -> None:
    answer = client.get(f"{TRAINER}/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["cure"]
