"""YAML without surprises."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.jobfile import LIMIT_CHARACTERS, read_job
from workflows.spec import JobSpec, SpecError


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("2E4", 20000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("5Gi", "5Gi"),
        ("1.10.0", "1.10.0"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_reads_a_value_as_it_looks(written: str, value: Any) -> None:
    read = read_job(f"key: {written}")["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "this is empty"),
        ("- a\n- b", "this is a list"),
        ("just text", "this is a str"),
        ("a: [1", "line 1, column 6"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: 'a' stands here twice"),
        ("a: &x [1]\nb: *x", "line 2: references (*x) are not read"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("a: \t- b", "line 1"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: \x00", "special characters"),
        (f"a: {'x' * LIMIT_CHARACTERS}", "too long"),
        ("a: " + "[" * 5000, "nested more than 32 deep"),
    ],
)
def test_says_where_a_file_is_no_job(text: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_job(text)
    assert told in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_word_for_no_is_false_where_only_a_boolean_fits() -> None:
    spec = JobSpec.from_yaml(
        "framework: ultralytics\nmodel: yolo11n\ndataset: no\nadvanced_config: {cos_lr: yes, rect: off}\n"
        "split: {stratify: no}\nlabels: {country: no}\n"
    )
    assert spec.dataset == "no"
    assert spec.advanced_config == {"cos_lr": True, "rect": False}
    assert spec.split.stratify is False
    assert spec.labels == {"country": "no"}


def test_an_empty_section_is_none() -> None:
    spec = JobSpec.from_yaml("framework: toy\ndataset: d\nhyperparameters:\nlabels:\nresources: {gpu: }\n")
    assert spec == JobSpec(framework="toy", dataset="d")
