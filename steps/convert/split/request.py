"""Understands the many words in which a split is asked for, and turns them into one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from steps.convert.problems import DatasetRefused, Problem
from steps.convert.read.fields import as_id

PARTS = ("train", "val", "test")
PART_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
METHODS = {
    "auto": "auto", "automatic": "auto", "random": "auto", "ratio": "auto",
    "manual": "manual", "custom": "manual",
    "partial": "partial",
    "none": "use_dataset", "use_dataset": "use_dataset", "use_default": "use_dataset", "dataset": "use_dataset",
}  # fmt: skip
DEFAULT_RATIO = (0.8, 0.2, 0.0)
DEFAULT_SEED = 42
TOLD = 20  # entries of one request that are told one by one

Find = Callable[[str], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRequest:
    """A split as it was asked for; `splits` maps an image id to train, val, test or None (assign it)."""

    method: str = "auto"
    ratio: tuple[float, float, float] = DEFAULT_RATIO
    seed: int = DEFAULT_SEED
    splits: Mapping[int, str | None] = field(default_factory=dict)
    exclude: frozenset[int] = frozenset()
    stratify: bool = True
    group_by: str | None = None


def read_request(value: Mapping[str, Any], *, where: str, find: Find | None = None) -> SplitRequest:
    """Reads a split request; `find` gives the id of an image by its key or name; raises DatasetRefused naming all
    words that make no sense."""
    identify = as_id if find is None else lambda key: _identify(key, find)
    problems: list[Problem] = []

    def bad(message: str, cure: str) -> None:
        problems.append(Problem(code="split_invalid", file=where, message=message, cure=cure))

    splits = _splits(value, bad, identify)
    word = value.get("method") or (("partial" if None in splits.values() else "manual") if splits else "auto")
    method = METHODS.get(word.strip().lower()) if isinstance(word, str) else None
    if method is None:
        bad(f"split method {word!r} is unknown", f"use one of: {', '.join(METHODS)}")
    seed = as_id(value.get("seed", DEFAULT_SEED))
    if seed is None:
        bad(f"split seed {value.get('seed')!r} is no whole number", "write a whole number")
    excluded = value.get("exclude_images") or ()
    exclude = [identify(item) for item in excluded] if isinstance(excluded, (list, tuple)) else [None]
    if None in exclude:
        bad("exclude_images holds something that is no image id", "list image ids")
    group_by = value.get("group_by")
    if group_by is not None and not isinstance(group_by, str):
        bad(f"group_by is {group_by!r}", "name one attribute of the images")
    ratio = _ratio(value, bad)
    if problems:
        raise DatasetRefused(problems)
    return SplitRequest(
        method=method or "auto",
        ratio=ratio,
        seed=DEFAULT_SEED if seed is None else seed,
        splits=splits,
        exclude=frozenset(item for item in exclude if item is not None),
        stratify=value.get("stratify") is not False,
        group_by=group_by,
    )


def _identify(key: Any, find: Find) -> int | None:
    # Where the dataset's own ids are texts, "7" is one of them and no number.
    id_ = find(key) if isinstance(key, str) else None
    return as_id(key) if id_ is None else id_


def _splits(value: Mapping[str, Any], bad: Any, identify: Callable[[Any], int | None]) -> dict[int, str | None]:
    given = value.get("splits") or value.get("custom_splits") or value.get("ids") or {}
    if not given and any(isinstance(value.get(word), list) for word in PART_WORDS):
        given = {word: value[word] for word in PART_WORDS if value.get(word)}
    if not isinstance(given, Mapping):
        bad("`splits` is no object", "map each image id to train, val, test or null")
        return {}
    found: dict[int, str | None] = {}
    told = 0
    for key, part in _pairs(given):
        id_ = identify(key)
        word = PART_WORDS.get(part.strip().lower()) if isinstance(part, str) else None
        if id_ is not None and id_ in found and found[id_] != word:
            message, cure = f"`splits` puts image {key} into {found[id_]} and {word}", "put it into one part"
        elif id_ is None:
            message, cure = f"`splits` has the key {key!r}, which is no image id", "use image ids as keys"
        elif part is not None and word is None:
            message, cure = f"`splits` puts image {id_} into {part!r}", "use train, val, test or null"
        else:
            found[id_] = word
            continue
        told += 1
        if told <= TOLD:
            bad(message, cure)
    if told > TOLD:
        bad(f"`splits` has {told - TOLD} more entries that make no sense", "see above")
    return found


def _pairs(given: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Gives image and part, whether images are mapped to parts or parts to lists of images."""
    for key, part in given.items():
        if isinstance(part, list) and isinstance(key, str) and key.strip().lower() in {*PART_WORDS, "left_out"}:
            if key != "left_out":
                yield from ((id_, key) for id_ in part)
        else:
            yield key, part


def _ratio(value: Mapping[str, Any], bad: Any) -> tuple[float, float, float]:
    given = value.get("ratio", value.get("default_ratio"))
    if given is None:
        given = _three_keys(value)
    if given is None:
        return DEFAULT_RATIO
    if isinstance(given, Mapping):
        given = [given.get(part, 0.0) for part in PARTS]
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        given = [given, 1 - given]
    cure = "write two or three shares of train, val and test, such as [0.8, 0.2]"
    if not isinstance(given, (list, tuple)) or len(given) not in (2, 3):
        bad(f"split ratio {given!r} makes no sense", cure)
        return DEFAULT_RATIO
    numbers = [n for n in given if isinstance(n, (int, float)) and not isinstance(n, bool) and 0 <= n <= 100]
    total = sum(numbers)
    # Shares may come as percent; 0.7 + 0.15 may not silently mean something else than was written.
    whole = 100.0 if total > 1.5 else 1.0
    if len(numbers) != len(given) or abs(total - whole) > 0.01 * whole:
        bad(f"split ratio {list(given)!r} does not add up to 1", cure)
        return DEFAULT_RATIO
    train, val, *rest = (number / total for number in numbers)
    return train, val, rest[0] if rest else 0.0


def _three_keys(value: Mapping[str, Any]) -> list[Any] | None:
    given = [value.get(f"{part}_ratio") for part in PARTS]
    if all(share is None for share in given):
        return None
    train, val, test = given
    numbers = [share for share in given if isinstance(share, (int, float))]
    if train is None:
        return [1 - sum(numbers), 0.0 if val is None else val, 0.0 if test is None else test]
    if val is None:
        return [train, 1 - sum(numbers), 0.0 if test is None else test]
    return [train, val, 0.0 if test is None else test]
