"""Reads the classes of a document: their ids, names, keypoints and skeletons."""

import dataclasses
from typing import Any

from steps.convert.dataset import Category, index_categories
from steps.convert.problems import Problem
from steps.convert.read.fields import as_id, as_object, is_text
from steps.convert.read.shapes import MOST_POINTS


def read_categories(value: dict[str, Any], document: str) -> tuple[tuple[Category, ...], set[int], list[Problem]]:
    """Gives the categories of a document's frame, ids that are lost as their names are, and what is wrong."""
    problems: list[Problem] = []

    def bad(code: str, message: str, cure: str) -> None:
        problems.append(Problem(code=code, file=document, message=message, cure=cure))

    key = "categories" if "categories" in value else "classes"
    items = value.get(key)
    if not isinstance(items, list):
        bad("field_missing", f"`{key}` is not a list", f"add `{key}` as a list to the document")
        return (), set(), problems
    known: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    lost: set[int] = set()
    for position, item in enumerate(items, 1):
        category = as_object(item)
        id_, name = as_id(category.get("id")), category.get("name")
        if id_ is None or id_ < 0:
            bad("category_id", f"category number {position} has no id ≥ 0", "give it a whole number as id")
        elif not isinstance(name, str) or not name.strip():
            bad("category_name", f"category {id_} has no name", "give it a name")
            lost.add(id_)
        elif not is_text(name):
            message = f"the name of category {id_}, {name!r}, holds half a character, which no file can hold"
            bad("category_name", message, "write its name anew")
            lost.add(id_)
        elif id_ in known:
            first = known[id_]["name"]
            bad("category_duplicate", f"category id {id_} is both {first!r} and {name!r}", "renumber one")
        elif name in names:
            bad("category_duplicate", f"category name {name!r} is used twice", "merge or rename one")
            lost.add(id_)
        else:
            known[id_] = category
            names.add(name)
    other = value.get("classes") if key == "categories" else None
    if isinstance(other, list):
        theirs = {as_id(as_object(item).get("id")): as_object(item).get("name") for item in other}
        if theirs and theirs != {id_: category["name"] for id_, category in known.items()}:
            message, cure = "`categories` and `classes` do not say the same", "keep one of the two lists"
            bad("forms_disagree", message, cure)
    pairs = [(id_, str(category["name"])) for id_, category in known.items()]
    categories = tuple(_detailed(category, known[category.id], bad) for category in index_categories(pairs))
    return categories, lost - known.keys(), problems


def _detailed(category: Category, item: dict[str, Any], bad: Any) -> Category:
    group, points, skeleton = item.get("supercategory"), item.get("keypoints"), item.get("skeleton")
    names: tuple[str, ...] = ()
    if isinstance(points, list) and len(points) > MOST_POINTS:
        message = f"{category.name!r} names {len(points)} keypoints, more than {MOST_POINTS}"
        bad("category_keypoints", message, "name those that the annotations have")
    elif isinstance(points, list) and all(isinstance(name, str) and is_text(name) for name in points):
        names = tuple(points)
    elif points is not None:
        bad("category_keypoints", f"the keypoints of {category.name!r} are no list of names", "list their names")
    if isinstance(group, str) and not is_text(group):
        message = f"the supercategory of {category.name!r}, {group!r}, holds half a character"
        bad("category_name", message, "write its name anew")
        group = None
    pairs: list[tuple[int, int]] = []
    for bone in skeleton if isinstance(skeleton, list) else []:
        ends = [as_id(end) for end in bone] if isinstance(bone, list) else []
        if len(ends) == 2 and None not in ends:
            pairs.append((ends[0], ends[1]))  # type: ignore[arg-type]
    return dataclasses.replace(
        category, supercategory=group if isinstance(group, str) else None, keypoints=names, skeleton=tuple(pairs)
    )
