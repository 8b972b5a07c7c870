"""What holds for every quantity and every job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from workflows.environment import config
from workflows.jobfile import read_job
from workflows.keys import is_job_id, new_job_id, segment, workflow_name
from workflows.problems import SpecError
from workflows.quantities import Duration, Memory, cpu_quantity, parse_cpu
from workflows.spec import JobSpec
from workflows.training import label_value

AMOUNTS = st.integers(0, 10**6)
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_duration_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    parts = [(days, "d", 86400), (hours, "h", 3600), (minutes, "m", 60), (seconds, "s", 1)]
    total = sum(amount * scale for amount, _, scale in parts)
    text = "".join(f"{amount}{unit}" for amount, unit, _ in parts if amount)
    if total:
        assert Duration.parse(text).seconds == total
    else:
        with pytest.raises(PydanticCustomError):
            Duration.parse(text)


@given(st.text(max_size=12))
def test_no_text_breaks_a_quantity(text: str) -> None:
    for kind in (Duration, Memory):
        told: dict[str, Any] = {}
        try:
            told["read"] = str(kind.parse(text))
        except PydanticCustomError as error:
            told.update(error.context or {})
        assert told.get("cure") or told["read"] == text.strip()


@given(st.integers(1, 10**9), st.sampled_from(["Ki", "Mi", "Gi", "Ti"]))
def test_memory_counts_in_powers_of_1024_without_loss(amount: int, unit: str) -> None:
    assert Memory.parse(f"{amount}{unit}").bytes == amount * 1024 ** (["Ki", "Mi", "Gi", "Ti"].index(unit) + 1)


@given(st.integers(1, 1_024_000))
def test_cores_survive_being_written(thousandths: int) -> None:
    assert parse_cpu(f"{thousandths}m") == parse_cpu(thousandths / 1000) == thousandths / 1000
    again = parse_cpu(thousandths / 1000)
    written = cpu_quantity(again)
    assert float(written.removesuffix("m")) / (1000 if written.endswith("m") else 1) == thousandths / 1000


@given(
    name=st.none() | PLAIN.filter(lambda text: text.strip() and "{{" not in text),
    epochs=st.none() | st.integers(1, 1000),
    rate=st.none() | st.floats(1e-8, 1),
    train=st.floats(0.01, 0.99),
    advanced=st.dictionaries(PLAIN, JSON, max_size=3),
    splits=st.dictionaries(st.integers(1, 99).map(str), st.sampled_from(["train", "val", "test", None]), max_size=3),
    gpu=st.none() | st.integers(0, 8),
)
def test_a_job_survives_being_written_and_resolved(
    name: str | None,
    epochs: int | None,
    rate: float | None,
    train: float,
    advanced: dict[str, Any],
    splits: dict[str, Any],
    gpu: int | None,
) -> None:
    spec = JobSpec.from_mapping(
        {
            "framework": "custom",
            "image": "own:1",
            "command": ["train"],
            "dataset": "d",
            "name": name,
            "hyperparameters": {"epochs": epochs, "learning_rate": rate},
            "advanced_config": advanced,
            "split": {"ratio": [train, 1 - train], "splits": splits},
            "resources": {"gpu": gpu},
        }
    )
    written = json.loads(json.dumps(spec.to_mapping(), allow_nan=False))
    assert JobSpec.from_mapping(written) == spec
    resolved = spec.resolved()
    assert resolved.resolved() == resolved
    assert JobSpec.from_mapping(resolved.to_mapping()) == resolved


@given(st.dictionaries(PLAIN, JSON, max_size=3))
def test_config_says_the_same_without_what_argo_or_kubernetes_would_replace(advanced: dict[str, Any]) -> None:
    given = {**advanced, "x": "{{workflow.name}} $(HOME) {{{ {"}
    spec = JobSpec.from_mapping(
        {"framework": "custom", "image": "own:1", "command": ["t"], "dataset": "d", "advanced_config": given}
    )
    text = config(spec.resolved())
    assert json.loads(text)["advanced_config"] == given
    assert "{{" not in text
    assert "$(" not in text


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    found: Any = None
    try:
        found = read_job(text)
    except SpecError as error:
        found = {problem.cure: problem for problem in error.problems}
    assert isinstance(found, dict)


@given(JSON)
def test_no_json_breaks_the_check(value: Any) -> None:
    for job in (
        value,
        {"framework": value, "dataset": value, "hyperparameters": value, "split": value, "command": value},
    ):
        with pytest.raises(SpecError):
            JobSpec.from_mapping(job)


@given(st.text(max_size=100))
def test_a_label_is_always_valid(text: str) -> None:
    value = label_value(text)
    assert len(value) <= 63
    assert not value or (value[0].isalnum() and value[-1].isalnum() and value.isascii())


@given(st.text(max_size=200))
def test_a_segment_never_leaves_its_folder(text: str) -> None:
    try:
        kept = segment(text)
    except ValueError:
        return
    assert kept == text
    assert "/" not in kept
    assert kept not in (".", "..")


def test_ids_have_their_shape_and_names_stay_short() -> None:
    ids = {new_job_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(is_job_id(job_id) for job_id in ids)
    assert len(workflow_name(new_job_id(), 999)) <= 63
