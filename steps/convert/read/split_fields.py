"""Reads which part of the split each image of a document belongs to: from its `split`, in D4 from its folder too."""

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL
from steps.convert.problems import Problem
from steps.convert.read.image_rows import ImageRows
from steps.convert.read.images import Images
from steps.convert.split.request import PART_WORDS

PARTS = {"train": TRAIN, "val": VAL, "test": TEST}
CURE = "use train, val or test"


def image_parts(images: Images, rows: ImageRows, layout: str) -> tuple[npt.NDArray[np.int8] | None, list[Problem]]:
    """Gives the part of each image row, None where no image says one; and what is wrong with what they say."""
    problems: list[Problem] = []
    said = {item: word for item, word in images.parts.items() if word}
    words = {item: PART_WORDS.get(word.strip().lower()) for item, word in said.items()}
    if None in words.values():
        if layout not in ("D3", "D4"):
            return None, []  # some other field of that name
        for item, word in words.items():
            if word is None:
                message = f"split is {said[item]!r}"
                problems.append(_problem(images, item, "split_invalid", message, CURE))
    if layout == "D4":
        for item, name in enumerate(images.names):
            folder = PART_WORDS.get(str(name).split("/")[0].lower()) if name and "/" in name else None
            word = words.get(item)
            if folder and word and folder != word:
                message = f"{name} lies in {folder}, but its split is {word}"
                problems.append(_problem(images, item, "part_conflict", message, "move the image, or correct split"))
            elif folder and item not in words:
                words[item] = folder
    if not any(words.values()):
        return None, problems
    parts = np.full(len(rows.items), NO_PART, dtype=np.int8)
    for row, item in enumerate(rows.items.tolist()):
        word = words.get(item)
        parts[row] = PARTS[word] if word else NO_PART
    return parts, problems


def _problem(images: Images, item: int, code: str, message: str, cure: str) -> Problem:
    id_ = images.ids.told(item)
    return Problem(code=code, file=images.document, image_id=id_, message=message, cure=cure)
