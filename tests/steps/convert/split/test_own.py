"""A split that the layout itself carries is taken as it is: val is never train, test never val."""

from typing import Any

import numpy as np
import pytest

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL
from steps.convert.problems import DatasetRefused
from steps.convert.split.resolve import resolve_split
from tests.steps.convert.split.test_split import made, plenty


def parted(parts: list[int], **more: Any) -> Any:
    return made(plenty(len(parts)), image_parts=np.array(parts, dtype=np.int8), **more)


def codes(problems: list[Any]) -> list[str]:
    return [problem.code for problem in problems]


@pytest.mark.parametrize(
    ("layout", "method"), [("D5", "folders"), ("YOLO", "folders"), ("D3", "field"), ("VOC", "lists")]
)
def test_the_parts_of_the_layout_are_taken(layout: str, method: str) -> None:
    split, problems = resolve_split(parted([TRAIN] * 6 + [VAL] * 3 + [TEST], layout=layout))
    assert (split.source, split.method) == ("dataset", method)
    assert (split.train, split.val, split.test) == ((1, 2, 3, 4, 5, 6), (7, 8, 9), (10,))
    assert split.ratio == (0.6, 0.3, 0.1)
    assert problems == []


def test_images_in_no_part_are_left_out_and_told_or_assigned() -> None:
    parts = [TRAIN] * 10 + [VAL] * 5 + [NO_PART] * 5
    split, problems = resolve_split(parted(parts, layout="VOC"))
    assert split.left_out == (16, 17, 18, 19, 20)
    assert codes(problems) == ["split_unlisted"]
    split, problems = resolve_split(parted(parts, layout="D3"))
    assert split.left_out == ()
    assert codes(problems) == []


def test_a_missing_val_is_taken_from_train_and_never_from_test() -> None:
    split, problems = resolve_split(parted([TRAIN] * 80 + [TEST] * 20, layout="D5"))
    assert (len(split.train), len(split.val), len(split.test)) == (64, 16, 20)
    assert set(split.test) == set(range(81, 101))
    assert codes(problems) == ["split_val_from_train"]


def test_only_val_is_no_training() -> None:
    assert codes(resolve_split(parted([VAL] * 6 + [TEST] * 2))[1]) == ["split_no_train"]


def test_who_wishes_first() -> None:
    parts = [TRAIN] * 50 + [VAL] * 50
    own = {"method": "auto", "ratio": [0.9, 0.1]}
    assert len(resolve_split(parted(parts))[0].val) == 50
    assert len(resolve_split(parted(parts, split_config=own))[0].val) == 10
    assert len(resolve_split(parted(parts, split_config=own), job={"ratio": [0.7, 0.3]})[0].val) == 30
    assert len(resolve_split(parted(parts, split_config={"method": "none"}))[0].val) == 50
    split, _ = resolve_split(parted(parts), job={"method": "use_dataset", "exclude_images": [1, 100]})
    assert (len(split.train), len(split.val), split.left_out) == (49, 49, (1, 100))


@pytest.mark.parametrize(
    "wish",
    [
        {"splits": {"1": "train", "2": "val", "3": "test"}},
        {"splits": {1: "training", "2.png": "valid", "3": "testing"}},
        {"splits": {"1.png": "train", "2.png": "val", "3.png": "test"}},
        {"train": [1], "val": ["2"], "test": ["3.png"]},
        {"splits": {"train": [1], "validation": [2], "test": [3]}},
        {"ids": {"train": [1], "val": [2], "test": [3], "left_out": [4]}},
    ],
)
def test_ids_names_and_lists_say_the_same(wish: dict[str, Any]) -> None:
    split, _ = resolve_split(made(plenty(6)), job=wish)
    assert (split.train, split.val, split.test, split.left_out) == ((1,), (2,), (3,), (4, 5, 6))


def test_ids_that_are_texts_are_found_as_they_are_written() -> None:
    dataset = made(plenty(4), image_keys=["b", "a", "7", "x.png"])
    split, _ = resolve_split(dataset, job={"splits": {"b": "train", "7": "val", "x.png": "test"}})
    assert (split.train, split.val, split.test) == ((1,), (3,), (4,))


def test_an_image_in_two_parts_is_refused() -> None:
    with pytest.raises(DatasetRefused, match="image 1 into train and val"):
        resolve_split(made(plenty(4)), job={"train": [1, 2], "val": [1, 3]})
