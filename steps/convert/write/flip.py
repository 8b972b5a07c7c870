"""Derives which keypoints change places when an image is mirrored, from the words left and right in their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steps.convert.dataset import Category

SIDELESS = "no keypoint is called left or right"
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^A-Za-z\d]+")
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """`order` is the keypoint that takes each one's place; None with the reason where that cannot be known."""

    order: tuple[int, ...] | None
    reason: str = ""


def flip_of(names: Sequence[str]) -> Flip:
    """Pairs the names that differ by left and right only; the others stay where they are."""
    if not names:
        return Flip(order=None, reason="the keypoints have no names")
    words = [_words(name) for name in names]
    if len(set(words)) < len(words):
        return Flip(order=None, reason="two keypoints have the same name")
    place = {key: index for index, key in enumerate(words)}
    order = []
    for name, key in zip(names, words, strict=True):
        sides = [word for word in key if word in _OTHER]
        if not sides:
            order.append(place[key])
            continue
        partner = tuple(_OTHER.get(word, word) for word in key)
        if len(sides) > 1 or partner not in place:
            return Flip(order=None, reason=f"keypoint {name!r} has no counterpart on the other side")
        order.append(place[partner])
    if order == list(range(len(names))):
        return Flip(order=None, reason=SIDELESS)
    return Flip(order=tuple(order))


def flip_of_classes(classes: Sequence[Category], count: int) -> Flip:
    """Gives the one order that holds for all classes with keypoints, for `count` points each.

    A class without left and right, beside others that have them, keeps its points where they are.
    """
    named = [category for category in classes if category.keypoints]
    if not named:
        return Flip(order=None, reason="no class names its keypoints")
    orders: dict[tuple[int, ...], str] = {}
    sideless = []
    for category in named:
        flip = flip_of(category.keypoints)
        if flip.order is not None:
            orders.setdefault((*flip.order, *range(len(flip.order), count)), category.name)
        elif flip.reason == SIDELESS:
            sideless.append(category)
        else:
            return Flip(order=None, reason=f"of class {category.name!r} {flip.reason}")
    if not orders:
        return Flip(order=None, reason=SIDELESS)
    order = next(iter(orders))
    moved = [c.name for c in sideless if any(order[at] != at for at in range(len(c.keypoints)))]
    if len(orders) > 1 or moved:
        one, other = [*orders.values(), *moved][:2]
        return Flip(order=None, reason=f"the classes {one!r} and {other!r} have their sides in different places")
    return Flip(order=order)


def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(name))
