"""Compares the two forms of a document that carries its annotations both flat and inside the images."""

from collections import Counter
from typing import Any

from steps.convert.fields import as_id, as_list, as_object
from steps.convert.problems import Problem


def disagreement(name: str, value: dict[str, Any]) -> Problem | None:
    """Gives the first image whose nested annotations differ from the flat ones, None where all agree."""
    images = [as_object(image) for image in as_list(value.get("images")) or []]
    if not any(isinstance(image.get("annotations"), list) for image in images):
        return None
    flat: dict[int | None, Counter[str]] = {}
    for annotation in map(as_object, as_list(value.get("annotations")) or []):
        flat.setdefault(as_id(annotation.get("image_id")), Counter())[_key(annotation)] += 1
    for image in images:
        nested = image.get("annotations")
        if not isinstance(nested, list):
            continue
        id_ = as_id(image.get("id"))
        here = Counter(_key(as_object(annotation)) for annotation in nested)
        there = flat.get(id_, Counter())
        if here != there:
            return Problem(
                code="forms_disagree",
                file=name,
                image_id=id_,
                message=f"{here.total()} annotations stand in the image and {there.total()} in the flat list, "
                f"and they differ: the document carries both forms",
                cure="keep one form, or make both say the same",
            )
    return None


def _key(annotation: dict[str, Any]) -> str:
    category = as_id(annotation.get("category_id", annotation.get("class_id")))
    box = annotation.get("bbox")
    numbers = [round(float(n), 3) for n in box] if isinstance(box, list) and _numbers(box) else box
    return f"{category} {numbers}"


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(value, (int, float)) for value in values)
