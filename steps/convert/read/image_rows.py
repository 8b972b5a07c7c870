"""Settles which images of a document can be used, and finds the row of an image by its id."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from steps.convert.dataset import Ints
from steps.convert.problems import Problem
from steps.convert.read.fields import is_text
from steps.convert.read.images import Images
from steps.convert.read.refs import NONE, Refs

LOST, UNKNOWN = -1, -2  # rows: of an image that is known but unusable; of none at all


@dataclass(slots=True)
class ImageRows:
    """The usable images: their `items` (numbers in the document), their ids, and the way from an id to a row."""

    items: Ints
    ids: Ints
    keys: list[str] | None
    row_of_item: Ints
    known_ids: Ints  # sorted
    known_rows: Ints
    row_of_key: dict[str, int]

    def find(self, refs: Refs) -> Ints:
        """Gives the row for each id of a column, LOST or UNKNOWN where there is none."""
        if self.keys is not None:
            written = (refs.texts.get(n) or str(refs.shown(n)) for n in range(len(refs)))
            return np.array([self.row_of_key.get(key, UNKNOWN) for key in written], dtype=np.int64)
        return lookup(refs.numbers(), self.known_ids, self.known_rows, missing=UNKNOWN)


def lookup(numbers: Ints, known: Ints, values: Ints, *, missing: int) -> Ints:
    """Gives for each number the value that stands at its place among the sorted known ones."""
    if not len(known):
        return np.full(len(numbers), missing, dtype=np.int64)
    if known[-1] - known[0] < 4 * len(known) + 1024:  # dense ids: a table is ten times as fast as a search
        table = np.full(int(known[-1] - known[0]) + 1, missing, dtype=np.int64)
        table[known - known[0]] = values
        inside = (numbers >= known[0]) & (numbers <= known[-1])
        return np.where(inside, table[np.where(inside, numbers - known[0], 0)], missing)
    at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return np.where(known[at] == numbers, values[at], missing)


def settle(images: Images, problems: list[Problem]) -> ImageRows:
    """Gives the usable images of a document and adds what is wrong with the others."""
    count = len(images)
    numbers = images.ids.numbers()
    texts = images.ids.all_texts()
    if texts:
        written = [images.ids.texts[item] for item in range(count)]
        order = sorted(set(written))
        place = {key: number for number, key in enumerate(order, 1)}
        numbers = np.array([place[key] for key in written], dtype=np.int64)
    names = images.names = _plain(images.names)
    widths, heights = (np.frombuffer(c, dtype=np.int64) if c else np.empty(0, np.int64) for c in
                       (images.widths, images.heights))  # fmt: skip
    sound = (numbers >= 0).all() and (widths > 0).all() and (heights > 0).all() and len(np.unique(numbers)) == count
    unique = set(names)
    if sound and len(unique) == count and not {None, ""} & unique and is_text("".join(map(str, names))):
        row_of_item = np.arange(count)
    else:
        row_of_item = _one_by_one(images, numbers, texts, problems)
    items = np.flatnonzero(row_of_item >= 0)
    # Of two entries with the same file the first counts.
    items = items[np.unique(row_of_item[items], return_index=True)[1]] if len(items) else items
    order_of = np.argsort(numbers, kind="stable")
    order_of = order_of[(numbers[order_of] != NONE) & (row_of_item[order_of] != UNKNOWN)]
    known_ids, first = np.unique(numbers[order_of], return_index=True)
    keys = [images.ids.texts[item] for item in items.tolist()] if texts else None
    row_of_key = {images.ids.texts[item]: int(row_of_item[item]) for item in reversed(range(count))} if texts else {}
    return ImageRows(
        items=items,
        ids=numbers[items],
        keys=keys,
        row_of_item=np.where(row_of_item == UNKNOWN, LOST, row_of_item),
        known_ids=known_ids,
        known_rows=row_of_item[order_of][first],
        row_of_key=row_of_key,
    )


def _one_by_one(images: Images, numbers: Ints, texts: bool, problems: list[Problem]) -> Ints:
    """Gives the row of each item, telling what is wrong with those that get none."""
    rows = np.full(len(numbers), LOST, dtype=np.int64)
    first_of: dict[int, int] = {}
    file_of: dict[str, int] = {}
    count = 0

    def bad(code: str, message: str, cure: str, *, image: Any = None) -> None:
        problems.append(Problem(code=code, file=images.document, image_id=image, message=message, cure=cure))

    for item, (number, name) in enumerate(zip(numbers.tolist(), images.names, strict=True)):
        shown = images.ids.texts[item] if texts else number
        if number < 0 or shown == "":
            given = images.ids.shown(item)
            bad("image_id", f"image number {item + 1} has id {given!r}", "give it a whole number as id")
            rows[item] = UNKNOWN
        elif number in first_of:
            bad("image_duplicate", f"image id {shown} is used twice", "renumber one of them", image=shown)
            rows[item] = UNKNOWN
        elif not name:
            bad("image_file_name", "the image has no file_name", "name its file", image=shown)
        elif not is_text(name):
            message = f"file_name {name!r} holds half a character, which no file can have in its name"
            bad("image_file_name", message, "rename the file", image=shown)
        elif name in file_of:
            bad("file_name_duplicate", f"{name!r} is also the file of image {_shown(images, file_of[name], texts)}",
                "merge the two entries", image=shown)  # fmt: skip
            rows[item] = rows[file_of[name]]
        else:
            if images.widths[item] < 1 or images.heights[item] < 1:
                # Told, and kept without a size: a repaired copy takes it from the file.
                width, height = images.odd_sizes.get(item, (images.widths[item], images.heights[item]))
                message = f"width and height are {width!r} × {height!r}"
                bad("image_size", message, "write both in pixels, ≥ 1", image=shown)
            file_of[name], rows[item] = item, count
            count += 1
        if rows[item] != UNKNOWN:
            first_of.setdefault(number, item)
    return rows


def _shown(images: Images, item: int, texts: bool) -> Any:
    return images.ids.texts[item] if texts else images.ids.shown(item)


def _plain(names: list[str | None]) -> list[str | None]:
    """Spells every name in one way: `./a.png` and `b//c.png` name the files a.png and b/c.png."""
    together = "\n".join(name for name in names if name)
    if "./" not in together and "//" not in together:
        return names
    return [name and (str(PurePosixPath(name)) if "./" in name or "//" in name else name) for name in names]
