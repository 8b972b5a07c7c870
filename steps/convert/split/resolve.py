"""Resolves a split into explicit lists of image ids: by whose wish, by hand or automatically."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.split.automatic import automatic, group_name
from steps.convert.split.own import has_own, own_method, own_parts, shares
from steps.convert.split.request import DEFAULT_RATIO, PARTS, Find, SplitRequest, read_request

NAMED = 5
OWN = "own"  # the method of a request that takes what the layout itself carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The resolved split: sorted image ids, disjoint; `source` is job, dataset or automatic."""

    source: str
    method: str
    ratio: tuple[float, float, float]
    seed: int
    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    left_out: tuple[int, ...] = ()

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Gives the ids of train, val and test by name."""
        return {"train": self.train, "val": self.val, "test": self.test}


def resolve_split(dataset: Dataset, *, job: Mapping[str, Any] | None = None) -> tuple[Split, list[Problem]]:
    """Resolves the split: the job's, else the dataset's own (words, then folders or fields), else 80/20, seed 42."""
    source, request = _choose(dataset, job)
    allowed = dataset.image_labeled.copy()
    pool: list[int] = dataset.image_ids[allowed].tolist()
    problems = _strangers(dataset, request)
    method, ratio = request.method, request.ratio
    if method == OWN:
        allowed &= ~np.isin(dataset.image_ids, np.array(sorted(request.exclude), dtype=np.int64))
        fixed = own_parts(dataset, allowed)
        method = own_method(dataset)
    else:
        fixed = {}
        if method in {"manual", "partial"}:
            fixed = {id_: part for id_ in pool if (part := request.splits.get(id_)) and id_ not in request.exclude}
    unlisted: list[int] = []
    if method in {"manual", "folders", "lists"}:
        named = request.splits if method == "manual" else fixed
        unlisted = [id_ for id_ in pool if id_ not in named and id_ not in request.exclude]
        if unlisted:
            problems.append(_unlisted(dataset, unlisted, method))
    skipped = request.exclude.union(unlisted, fixed)
    placed = fixed | automatic(dataset, [id_ for id_ in pool if id_ not in skipped], request)
    if request.method == OWN:
        placed = _with_val(dataset, placed, request, problems)
        ratio = shares(placed)
    parts = {part: tuple(sorted(id_ for id_, where in placed.items() if where == part)) for part in PARTS}
    left_out = tuple(sorted(set(pool) - placed.keys()))
    split = Split(source=source, method=method, ratio=ratio, seed=request.seed, left_out=left_out, **parts)
    problems.extend(_empty_parts(dataset, split, request, len(pool)))
    return split, problems


def _choose(dataset: Dataset, job: Mapping[str, Any] | None) -> tuple[str, SplitRequest]:
    find = _finder(dataset)
    request = read_request(job, where="the job's split", find=find) if job else None
    if request and request.method != "use_dataset":
        return "job", request
    excluded = request.exclude if request else frozenset()
    if dataset.split_config:
        theirs = read_request(dataset.split_config, where=f"{dataset.document} split_config", find=find)
        if theirs.method != "use_dataset":
            return "dataset", replace(theirs, exclude=theirs.exclude | excluded)
        excluded |= theirs.exclude
    request = request or SplitRequest()
    if has_own(dataset):
        return "dataset", replace(request, method=OWN, ratio=DEFAULT_RATIO, exclude=excluded)
    return "automatic", replace(request, method="auto", exclude=excluded)


def _finder(dataset: Dataset) -> Find:
    """Gives a function that finds an image's id by its own key, or by its file name."""
    known: dict[str, int] = {}

    def find(key: str) -> int | None:
        if not dataset.image_keys and key.strip().isdigit():
            return None
        if not known:
            ids = dataset.image_ids.tolist()
            known.update(zip(dataset.image_names, ids, strict=True))
            known.update(zip(dataset.image_keys or (), ids, strict=False))
        # Names are kept in their plain spelling: `./a.png` is a.png.
        return known[key] if key in known else known.get(str(PurePosixPath(key)))

    return find


def _with_val(
    dataset: Dataset, placed: dict[int, str], request: SplitRequest, problems: list[Problem]
) -> dict[int, str]:
    """Sets images of train aside as val where the dataset itself has none: test is never taken for it."""
    train = [id_ for id_, part in placed.items() if part == "train"]
    if "val" in placed.values() or not train:
        return placed
    aside = automatic(dataset, sorted(train), request)
    count = sum(part == "val" for part in aside.values())
    if count:
        message = f"the dataset has no val part: {count} of its {len(train)} train images are set aside for it"
        problems.append(_warn(dataset, "split_val_from_train", message, "give it a val part, or ask for a split"))
    return placed | aside


def _strangers(dataset: Dataset, request: SplitRequest) -> list[Problem]:
    known = set(dataset.image_ids.tolist()) if request.splits or request.exclude else set()
    found = []
    for word, ids in (("splits", request.splits.keys()), ("exclude_images", request.exclude)):
        if strange := sorted(ids - known):
            message = f"`{word}` names {len(strange)} images that the dataset does not list: {_few(strange)}"
            found.append(_warn(dataset, "split_unknown_image", message, "drop them from the split"))
    if request.group_by and not any(group_name(image, request.group_by) for image in dataset.image_attributes):
        message = f"group_by names {request.group_by!r}, which no image carries"
        found.append(_warn(dataset, "split_group_by", message, "name an attribute of the images"))
    return found


def _unlisted(dataset: Dataset, ids: list[int], method: str) -> Problem:
    if method == "manual":
        message = f"{len(ids)} images are not named in the manual split and are left out: {_few(ids)}"
        cure = "name them, or use the method `partial` to have them assigned"
    else:
        what = "named in no list" if method == "lists" else "in no folder"
        message = f"{len(ids)} images are {what} of train, val or test and are left out: {_few(ids)}"
        cure = "put them into one, or ask for an automatic split to have all images assigned"
    return _warn(dataset, "split_unlisted", message, cure)


def _empty_parts(dataset: Dataset, split: Split, request: SplitRequest, pool: int) -> list[Problem]:
    if not pool:
        return []
    counts = f"{len(split.train)} train, {len(split.val)} val, {len(split.test)} test images"
    if not split.train:
        message, cure = f"the split leaves no training image ({counts})", "put images into train, or raise its ratio"
        return [Problem(code="split_no_train", file=dataset.document, message=message, cure=cure)]
    meant = request.method in ("auto", "manual") and request.ratio[1] == 0
    if split.val or meant:
        return []
    message = f"the split leaves zero validation images ({counts})"
    cure = "name images for val, raise its ratio, or add images (a class that one image shows stays in train)"
    return [Problem(code="split_no_val", file=dataset.document, message=message, cure=cure)]


def _few(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:NAMED])) + (" …" if len(ids) > NAMED else "")


def _warn(dataset: Dataset, code: str, message: str, cure: str) -> Problem:
    return Problem(level="warning", code=code, file=dataset.document, message=message, cure=cure)
