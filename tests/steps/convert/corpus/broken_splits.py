"""Splits inside the dataset that cannot be carried out, and those that deserve a word."""

from __future__ import annotations

from typing import Any

from tests.steps.convert.corpus.case import Case, document
from tests.steps.convert.corpus.sample import sample


def _case(name: str, split: Any, code: str | None, *says: str, **more: Any) -> Case:
    return Case(name=f"split: {name}", breaks=document(lambda v: v.update(split_config=split)), code=code, says=says,
                **more)  # fmt: skip


EVERY = [str(number) for number in range(1, 9)]

CASES = [
    _case("everything is train", {"method": "manual", "splits": dict.fromkeys(EVERY, "train")}, "split_no_val"),
    _case("everything is val", {"method": "manual", "splits": dict.fromkeys(EVERY, "val")}, "split_no_train"),
    _case("everything is test", {"method": "manual", "splits": dict.fromkeys(EVERY, "test")}, "split_no_train",
          along=frozenset({"split_no_val"})),
    _case("everything is left out", {"exclude_images": EVERY}, "split_no_train", along=frozenset({"split_no_val"})),
    _case("into nowhere", {"splits": {"1": "dev"}}, "split_invalid", "dev"),
    _case("method unknown", {"method": "magic"}, "split_invalid", "magic"),
    _case("ratio of one and a half", {"ratio": [0.8, 0.7]}, "split_invalid"),
    _case("ratio of words", {"ratio": ["a", "b"]}, "split_invalid"),
    _case("ratio negative", {"ratio": [1.2, -0.2]}, "split_invalid"),
    _case("ratio NaN", {"ratio": [float("nan"), 0.5]}, "split_invalid"),
    _case("splits a list", {"splits": ["train"]}, "split_invalid"),
    _case("seed a word", {"ratio": [0.8, 0.2], "seed": "x"}, "split_invalid"),
    _case("exclude_images a number", {"exclude_images": 7}, "split_invalid"),
    _case("a list", ["train"], None),
    _case("ids as numbers and null", {"method": "partial", "splits": {"1": None, "2": "val"}}, None),
    _case("every word for the same ratio", {"train_ratio": 0.5, "val_ratio": 0.25, "test_ratio": 0.25}, None),
    _case("strangers", {"exclude_images": [99]}, "split_unknown_image", "99", level="warning"),
    _case("group_by nothing", {"group_by": "line"}, "split_group_by", "line", level="warning"),
    _case("manual and unlisted", {"method": "manual", "splits": {"1": "train", "2": "val"}}, "split_unlisted",
          level="warning"),
    _case("class only in val", {"method": "manual", "splits": {n: "val" if int(n) % 2 else "train" for n in EVERY}},
          "class_not_in_train", level="warning", of=sample(one_each=True)),
]  # fmt: skip
