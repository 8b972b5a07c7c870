"""A split depends on image ids and its seed alone, covers every image once, and says when it cannot be made."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.convert.dataset import Dataset, index_categories
from steps.convert.problems import DatasetRefused
from steps.convert.split.resolve import Split, resolve_split

IMAGES = st.dictionaries(
    st.integers(1, 5000), st.sets(st.integers(0, 3), max_size=3), min_size=6, max_size=60
)  # image id → classes in it
RATIOS = st.sampled_from([[0.8, 0.2], [0.7, 0.2, 0.1], [0.5, 0.5], [0.9, 0.1], [0.6, 0.2, 0.2]])


def made(images: dict[int, set[int]], **more: Any) -> Dataset:
    """Makes a dataset of images with the given classes in them."""
    pairs = [(row, class_) for row, classes in enumerate(images.values()) for class_ in sorted(classes)]
    return Dataset(
        layout=more.pop("layout", "D1"),
        document="annotations_detection.json",
        task="object_detection",
        categories=index_categories([(number, f"c{number}") for number in range(4)]),
        image_ids=np.array(list(images), dtype=np.int64),
        image_names=[f"{id_}.png" for id_ in images],
        image_sizes=np.full((len(images), 2), 64),
        image_labeled=np.ones(len(images), dtype=bool),
        annotation_ids=np.arange(len(pairs)),
        annotation_image=np.array([row for row, _ in pairs], dtype=np.int64),
        annotation_class=np.array([class_ for _, class_ in pairs], dtype=np.int64),
        annotation_crowd=np.zeros(len(pairs), dtype=bool),
        boxes=np.ones((len(pairs), 4)),
        **({"image_attributes": [{} for _ in images]} | more),
    )


def resolved(images: dict[int, set[int]], job: dict[str, Any] | None = None, **more: Any) -> Split:
    return resolve_split(made(images, **more), job=job)[0]


def plenty(count: int = 100) -> dict[int, set[int]]:
    return {id_: {id_ % 4} for id_ in range(1, count + 1)}


@given(IMAGES, RATIOS, st.integers(0, 9), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_list_does_not_matter(images: dict[int, set[int]], ratio: list[float], seed: int, rng) -> None:
    job = {"method": "auto", "ratio": ratio, "seed": seed}
    shuffled = list(images.items())
    rng.shuffle(shuffled)
    assert resolved(images, job) == resolved(dict(shuffled), job)


@given(IMAGES, RATIOS)
@settings(max_examples=60, deadline=None)
def test_the_parts_are_disjoint_and_complete(images: dict[int, set[int]], ratio: list[float]) -> None:
    split = resolved(images, {"method": "auto", "ratio": ratio})
    together = [*split.train, *split.val, *split.test]
    assert sorted(together) == sorted(images)
    assert split.left_out == ()


@given(IMAGES, RATIOS)
@settings(max_examples=60, deadline=None)
def test_a_class_of_one_image_is_trained(images: dict[int, set[int]], ratio: list[float]) -> None:
    split = resolved(images, {"method": "auto", "ratio": ratio})
    for class_ in range(4):
        holders = [id_ for id_, classes in images.items() if class_ in classes]
        if len(holders) == 1:
            assert holders[0] in split.train


@given(IMAGES, st.integers(5001, 9000), st.sets(st.integers(0, 3), max_size=3))
@settings(max_examples=60, deadline=None)
def test_one_more_image_moves_few_others(images: dict[int, set[int]], id_: int, classes: set[int]) -> None:
    images = {**plenty(80), **{key + 1000: value for key, value in images.items()}}
    before, after = resolved(images), resolved({**images, id_ + 1000: classes})
    moved = set(before.val) ^ (set(after.val) - {id_ + 1000})
    assert len(moved) <= 10


@given(IMAGES, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_groups_stay_together(images: dict[int, set[int]], groups: int) -> None:
    attributes = [{"attributes": {"line": id_ % groups}} for id_ in images]
    split = resolved(images, {"method": "auto", "group_by": "line"}, image_attributes=attributes)
    for group in range(groups):
        members = {id_ for id_ in images if id_ % groups == group}
        assert sum(bool(members & set(ids)) for ids in split.parts().values()) <= 1


def test_an_automatic_split_is_stratified_and_as_large_as_asked() -> None:
    images = {id_: {0} if id_ <= 60 else {1} if id_ <= 90 else {2} for id_ in range(1, 101)}
    split = resolved(images, {"method": "auto", "ratio": [0.7, 0.2, 0.1]})
    assert (len(split.train), len(split.val), len(split.test)) == (70, 20, 10)
    assert [sum(images[id_] == {class_} for id_ in split.val) for class_ in range(3)] == [12, 6, 2]
    assert resolved(images, {"method": "auto", "seed": 1}).val != resolved(images, {"method": "auto", "seed": 2}).val


def test_the_split_is_pinned_across_versions() -> None:
    assert resolved(plenty(20)).val == resolved(plenty(20), {"method": "auto", "seed": 42}).val
    assert resolved(plenty(20)).val == (2, 8, 11, 13)


OWN = {"method": "manual", "splits": {**{str(n): "train" for n in range(1, 80)}, "80": "val", "81": "test"}}
PRIORITY = [
    ("nothing said", None, None, "automatic"),
    ("the dataset's own", None, OWN, "dataset"),
    ("the job's", {"method": "auto"}, OWN, "job"),
    ("the job leaves it to the dataset", {"method": "use_dataset", "ratio": [0.5, 0.5], "seed": 3}, OWN, "dataset"),
    ("in the older word", {"method": "use_default"}, OWN, "dataset"),
    ("the dataset has none", {"method": "use_dataset", "ratio": [0.5, 0.5]}, None, "automatic"),
    ("the dataset says none", None, {"method": "none"}, "automatic"),
]


@pytest.mark.parametrize(("job", "own", "source"), [row[1:] for row in PRIORITY], ids=[row[0] for row in PRIORITY])
def test_priority(job: dict[str, Any] | None, own: dict[str, Any] | None, source: str) -> None:
    split = resolved(plenty(), job, split_config=own)
    assert split.source == source
    if source == "dataset":
        assert (split.val, split.test, len(split.train)) == ((80,), (81,), 79)
        assert split.left_out == tuple(range(82, 101))
    elif job and job.get("ratio"):
        assert len(split.val) == 50


WORDS = [
    ({"ratio": [0.7, 0.3]}, (70, 30, 0)),
    ({"ratio": [70, 20, 10]}, (70, 20, 10)),
    ({"default_ratio": [0.6, 0.3, 0.1]}, (60, 30, 10)),
    ({"train_ratio": 0.6}, (60, 40, 0)),
    ({"train_ratio": 0.6, "val_ratio": 0.4}, (60, 40, 0)),
    ({"train_ratio": 0.6, "test_ratio": 0.1}, (60, 30, 10)),
    ({"val_ratio": 0.1}, (90, 10, 0)),
    ({"ratio": {"train": 0.5, "val": 0.5}}, (50, 50, 0)),
    ({"ratio": [1.0, 0.0]}, (100, 0, 0)),
    ({"method": "custom", "custom_splits": {1: "training", "2": "valid"}}, (1, 1, 0)),
    ({"splits": {"1": "train", "2": "val", "3": None}, "exclude_images": list(range(4, 101))}, (2, 1, 0)),
    ({"method": "partial", "splits": {"1": "val", "2": "test"}, "ratio": [1, 0]}, (98, 1, 1)),
    ({"splits": {"1.png": "train", "./2.png": "val"}, "exclude_images": [".//3.png"]}, (1, 1, 0)),
    ({"method": "auto", "exclude_images": ["1", 2]}, (78, 20, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("own", "sizes"), WORDS)
def test_every_vocabulary_is_understood(own: dict[str, Any], sizes: tuple[int, int, int]) -> None:
    split, problems = resolve_split(made(plenty(), split_config=own))
    assert (len(split.train), len(split.val), len(split.test)) == sizes
    assert not [problem for problem in problems if problem.level == "error"]


@pytest.mark.parametrize(
    "job", [{"ratio": "a lot"}, {"ratio": [1]}, {"seed": "x"}, {"splits": [1]}, {"method": 3}, {"group_by": 7},
            {"exclude_images": ["a.png"]}, {"splits": {"a.png": "train"}}, {"ratio": [0.9, 0.9]}],
)  # fmt: skip
def test_nonsense_is_refused(job: dict[str, Any]) -> None:
    with pytest.raises(DatasetRefused, match="split"):
        resolve_split(made(plenty()), job=job)


@pytest.mark.parametrize("images", [{1: {0}}, {1: {0}, 2: {1}, 3: {2}}], ids=["one image", "classes of one image"])
def test_zero_validation_images_is_an_error_with_a_cure(images: dict[int, set[int]]) -> None:
    _, problems = resolve_split(made(images))
    assert [problem.code for problem in problems] == ["split_no_val"]
    assert "add images" in problems[0].cure


def test_unlabeled_images_take_no_part() -> None:
    dataset = made(plenty(10))
    labeled = np.array([id_ > 2 for id_ in dataset.image_ids])
    split, _ = resolve_split(dataclasses.replace(dataset, image_labeled=labeled))
    assert not {1, 2} & {*split.train, *split.val, *split.test, *split.left_out}
