"""Resolves a split into explicit lists of image ids: by whose wish, by hand or automatically."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steps.convert.assign import Unit, assign
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.split_request import PARTS, SplitRequest, read_request

NAMED = 5


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
    """Resolves the split: the job's, else the dataset's own, else 80/20 with seed 42."""
    source, request = _choose(dataset, job)
    pool = [int(id_) for id_, ok in zip(dataset.image_ids, dataset.image_labeled, strict=True) if ok]
    problems = _strangers(dataset, request)
    fixed: dict[int, str] = {}
    if request.method in {"manual", "partial"}:
        fixed = {id_: part for id_ in pool if (part := request.splits.get(id_)) and id_ not in request.exclude}
    unlisted: list[int] = []
    if request.method == "manual":
        unlisted = [id_ for id_ in pool if id_ not in request.splits and id_ not in request.exclude]
        if unlisted:
            message = f"{len(unlisted)} images are not named in the manual split and are left out: {_few(unlisted)}"
            cure = "name them, or use the method `partial` to have them assigned"
            problems.append(_warn(dataset, "split_unlisted", message, cure))
    skipped = request.exclude.union(unlisted, fixed)
    units = _units(dataset, [id_ for id_ in pool if id_ not in skipped], request)
    placed = fixed | assign(units, ratio=request.ratio, seed=request.seed, stratify=request.stratify)
    parts = {part: tuple(sorted(id_ for id_, where in placed.items() if where == part)) for part in PARTS}
    split = Split(
        source=source,
        method=request.method,
        ratio=request.ratio,
        seed=request.seed,
        left_out=tuple(sorted(set(pool) - placed.keys())),
        **parts,
    )
    problems.extend(_empty_parts(dataset, split, request, len(pool)))
    return split, problems


def _choose(dataset: Dataset, job: Mapping[str, Any] | None) -> tuple[str, SplitRequest]:
    own = dataset.split_config
    request = read_request(job, where="the job's split") if job else None
    if request and request.method != "use_dataset":
        return "job", request
    if own:
        theirs = read_request(own, where=f"{dataset.document} split_config")
        if theirs.method != "use_dataset":
            return "dataset", theirs
    return "automatic", replace(request, method="auto") if request else SplitRequest()


def _units(dataset: Dataset, ids: list[int], request: SplitRequest) -> list[Unit]:
    row_of = {int(id_): row for row, id_ in enumerate(dataset.image_ids)}
    presence = dataset.class_presence()
    groups: dict[str, list[int]] = {}
    for id_ in ids:
        name = _group(dataset.image_attributes[row_of[id_]], request.group_by) if request.group_by else None
        groups.setdefault(f"i{id_}" if name is None else f"g{name}", []).append(id_)
    return [
        Unit(
            key=key,
            images=tuple(sorted(members)),
            classes=frozenset(np.flatnonzero(presence[[row_of[id_] for id_ in members]].any(axis=0)).tolist()),
        )
        for key, members in groups.items()
    ]


def _group(image: Mapping[str, Any], attribute: str) -> str | None:
    for holder in (image, image.get("attributes"), image.get("metadata")):
        if isinstance(holder, Mapping) and holder.get(attribute) is not None:
            return str(holder[attribute])
    return None


def _strangers(dataset: Dataset, request: SplitRequest) -> list[Problem]:
    known = set(dataset.image_ids.tolist())
    found = []
    for word, ids in (("splits", set(request.splits)), ("exclude_images", set(request.exclude))):
        if strange := sorted(ids - known):
            message = f"`{word}` names {len(strange)} images that the dataset does not list: {_few(strange)}"
            found.append(_warn(dataset, "split_unknown_image", message, "drop them from the split"))
    if request.group_by and not any(_group(image, request.group_by) for image in dataset.image_attributes):
        message = f"group_by names {request.group_by!r}, which no image carries"
        found.append(_warn(dataset, "split_group_by", message, "name an attribute of the images"))
    return found


def _empty_parts(dataset: Dataset, split: Split, request: SplitRequest, pool: int) -> list[Problem]:
    if not pool:
        return []
    counts = f"{len(split.train)} train, {len(split.val)} val, {len(split.test)} test images"
    if not split.train:
        message, cure = f"the split leaves no training image ({counts})", "put images into train, or raise its ratio"
        return [Problem(code="split_no_train", file=dataset.document, message=message, cure=cure)]
    meant = request.method == "auto" and request.ratio[1] == 0
    if split.val or meant:
        return []
    message = f"the split leaves zero validation images ({counts})"
    cure = "name images for val, raise its ratio, or add images (a class that one image shows stays in train)"
    return [Problem(code="split_no_val", file=dataset.document, message=message, cure=cure)]


def _few(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:NAMED])) + (" …" if len(ids) > NAMED else "")


def _warn(dataset: Dataset, code: str, message: str, cure: str) -> Problem:
    return Problem(level="warning", code=code, file=dataset.document, message=message, cure=cure)
