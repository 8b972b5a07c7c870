"""Writes the words of a split anew for a copy whose images have other ids, or are fewer."""

from collections.abc import Callable, Mapping
from typing import Any

from steps.convert.dataset import NO_PART, TRAIN, VAL, Dataset
from steps.convert.split.own import own_method
from steps.convert.split.request import PART_WORDS, PARTS

MAPS = ("splits", "custom_splits", "ids")
LISTS = (*PART_WORDS, "left_out")


def rewritten(config: Mapping[str, Any], name: Callable[[Any], Any]) -> dict[str, Any]:
    """Gives the words with `name(key)` for every image that they name; None drops it."""
    kept = dict(config)
    for word in ("exclude_images", *LISTS):
        if isinstance(kept.get(word), list):
            kept[word] = _named(kept[word], name)
    for word in MAPS:
        if isinstance(kept.get(word), Mapping):
            kept[word] = _pairs(kept[word], name)
    return kept


def own_words(dataset: Dataset) -> dict[str, Any] | None:
    """Says the split that the layout itself carries as a document says it; None where it carries none."""
    if dataset.image_parts is None:
        return None
    pairs = list(zip(dataset.image_ids.tolist(), dataset.image_parts.tolist(), strict=True))
    has_val = any(part == VAL for _, part in pairs)
    # What stands in no folder and no list is left out; without a field `split` an image is for anyone to assign.
    out = [id_ for id_, part in pairs if part == NO_PART] if own_method(dataset) != "field" else []
    gone = set(out)
    splits = {
        str(id_): None if part == NO_PART or (part == TRAIN and not has_val) else PARTS[part]
        for id_, part in pairs
        if id_ not in gone
    }
    return {"method": "partial", "splits": splits, **({"exclude_images": out} if out else {})}


def _named(keys: list[Any], name: Callable[[Any], Any]) -> list[Any]:
    return [own for own in map(name, keys) if own is not None]


def _pairs(given: Mapping[Any, Any], name: Callable[[Any], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, part in given.items():
        if isinstance(part, list) and str(key).strip().lower() in LISTS:
            found[key] = _named(part, name)
        elif (own := name(key)) is not None:
            found[str(own)] = part
    return found
