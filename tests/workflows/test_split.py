"""One vocabulary for splits, however they are written."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.split import Split


@pytest.mark.parametrize(
    ("given", "method", "ratio"),
    [
        ({}, "use_dataset", (0.8, 0.2)),
        ({"method": "none"}, "use_dataset", (0.8, 0.2)),
        ({"method": "use_default"}, "use_dataset", (0.8, 0.2)),
        ({"seed": 7}, "auto", (0.8, 0.2)),
        ({"ratio": [0.7, 0.2, 0.1]}, "auto", (0.7, 0.2, 0.1)),
        ({"default_ratio": [0.9, 0.1]}, "auto", (0.9, 0.1)),
        ({"train_ratio": 0.7, "val_ratio": 0.3}, "auto", (0.7, 0.3)),
        ({"train_ratio": 0.7}, "auto", (0.7, 0.3)),
        ({"val_ratio": 0.25}, "auto", (0.75, 0.25)),
        ({"train_ratio": 0.7, "test_ratio": 0.1}, "auto", (0.7, 0.2, 0.1)),
        ({"train_ratio": 0.8, "val_ratio": 0.2, "test_ratio": 0}, "auto", (0.8, 0.2)),
        ({"splits": {"1": "train", 2: "valid"}}, "manual", (0.8, 0.2)),
        ({"method": "custom", "custom_splits": {"1": "train"}}, "manual", (0.8, 0.2)),
        ({"method": "manual", "splits": {"1": "train", "2": None}}, "partial", (0.8, 0.2)),
    ],
)
def test_understands_all_the_words(given: dict[str, Any], method: str, ratio: tuple[float, ...]) -> None:
    split = Split.model_validate(given)
    assert split.method == method
    assert split.ratio == pytest.approx(ratio)


def test_ids_are_text_and_parts_have_one_name() -> None:
    split = Split.model_validate({"splits": {1: "training", "2": "Validation", 3: None}, "exclude_images": [4, "5"]})
    assert split.splits == {"1": "train", "2": "val", "3": None}
    assert split.exclude_images == ("4", "5")


def test_the_trainer_gets_only_what_says_something() -> None:
    assert Split().config() == {"method": "use_dataset", "ratio": [0.8, 0.2], "seed": 42, "stratify": True}
    config = Split.model_validate({"splits": {1: None}, "group_by": "scene"}).config()
    assert config["splits"] == {"1": None}
    assert config["group_by"] == "scene"
