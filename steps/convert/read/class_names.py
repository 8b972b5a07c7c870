"""Makes categories of class names that a layout gives no numbers: sorted by name, numbered from 0."""

import functools
import unicodedata
from collections.abc import Iterable

from steps.convert.dataset import Category, index_categories
from steps.convert.problems import Problem
from steps.convert.read.listing import folded


@functools.lru_cache(maxsize=4096)
def class_name(text: str) -> str:
    """Gives a class name one spelling: no spaces around it, Unicode composed (NFC)."""
    return composed(text.strip())


def composed(text: str) -> str:
    """Gives the form that a name has on most systems; macOS writes it taken apart (NFD)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def sorted_categories(names: Iterable[str]) -> tuple[Category, ...]:
    """Gives the categories in the order of their names, which is also that of their ids."""
    return index_categories([*enumerate(sorted(set(names)))])


def look_alikes(categories: Iterable[Category], *, file: str) -> list[Problem]:
    """Warns of classes whose names differ in nothing but case or spaces."""
    seen: dict[str, str] = {}
    problems = []
    for category in categories:
        key = "".join(folded(category.name).split())
        other = seen.setdefault(key, category.name)
        if other != category.name:
            message = f"the classes {other!r} and {category.name!r} differ only in case or spaces"
            cure = "nothing need be done if they are two; else spell them alike"
            problems.append(Problem(level="warning", code="class_names", file=file, message=message, cure=cure))
    return problems
