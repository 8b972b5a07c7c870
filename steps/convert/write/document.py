"""Writes one COCO-like JSON document piece by piece, so that its size does not matter, and reads each piece back."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from steps.convert.dataset import Dataset, Ints
from steps.convert.write.annotations import Back, Columns, columns_back, objects
from steps.convert.write.proof import Account, ProofFailed
from steps.convert.write.spot_objects import Names, spot_object

AT_ONCE = 4096  # annotations
LOOKED_AT = 64  # objects of each piece that are compared with the dataset by another way
_BACK = msgspec.json.Decoder(list[Back])


class DocumentWriter:
    """An open document: the keys in front, then lists of objects, each written as it comes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("xb")
        self._keys = 0

    def __enter__(self) -> "DocumentWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.write(b"}\n")
        self._file.close()

    def value(self, key: str, value: Any) -> bytes:
        """Writes one key with its whole value; gives the value's bytes."""
        self._key(key)
        text = encoded(value)
        self._file.write(text)
        return text

    def items(self, key: str, pieces: Iterable[list[Any]]) -> Iterator[bytes]:
        """Writes a list piece by piece; gives the bytes of each piece, a list of its own."""
        self._key(key)
        self._file.write(b"[")
        first = True
        for piece in pieces:
            if piece:
                text = encoded(piece)
                # One object a line keeps the document readable and its differences small.
                self._file.write(b"\n" if first else b",\n")
                self._file.write(memoryview(text)[1:-1])
                first = False
                yield text
        self._file.write(b"\n]")

    def _key(self, key: str) -> None:
        self._file.write(b",\n" if self._keys else b"{")
        self._file.write(encoded(key) + b":")
        self._keys += 1


def encoded(value: Any) -> bytes:
    """Gives JSON; half a surrogate pair, which broken names hold, as its escape."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return _escaped(value)


def write_annotations(
    document: DocumentWriter,
    account: Account,
    rows: Ints,
    *,
    names: Names,
    category_ids: Ints,
    gather: Callable[[Ints], Columns],
) -> Ints:
    """Writes annotation rows and proves each piece; gives the class of each as it was read back, -1 for background.

    `names` are those of the categories as they were written; `category_ids` are by class index, the background's
    last; `gather` gives the columns of some rows.
    """
    classes: list[Ints] = [np.zeros(0, dtype=np.int64)]
    order = np.argsort(category_ids)
    size = len(account.dataset.classes)
    starts = range(0, len(rows), AT_ONCE)
    meant: Columns | None = None

    def pieces() -> Iterator[list[dict[str, Any]]]:
        nonlocal meant
        for start in starts:
            meant = gather(rows[start : start + AT_ONCE])
            yield objects(meant)

    for start, text in zip(starts, document.items("annotations", pieces()), strict=True):
        assert meant is not None
        back = _BACK.decode(text)
        for at in range(0, len(back), -(-len(back) // LOOKED_AT)):
            spot_object(account.dataset, int(rows[start + at]), back[at], names)
        read = columns_back(back, keypoints=meant.keypoints.shape[1])
        for (name, there), (_, here) in zip(meant.named(), read.named(), strict=True):
            account.same(name, there, here)
        found = order[np.searchsorted(category_ids[order], read.categories)]
        classes.append(np.where(found < size, found, -1))
    return np.concatenate(classes)


def write_images(
    document: DocumentWriter,
    account: Account,
    rows: Ints,
    names: Sequence[str],
    more: Callable[[int], Mapping[str, Any]] = lambda row: {},
) -> int:
    """Writes the list of images and proves it; `more` gives further fields of a row. Gives how many were read back."""
    count = 0
    for start, text in zip(
        range(0, len(rows), AT_ONCE),
        document.items("images", image_records(account.dataset, rows, names, more)),
        strict=True,
    ):
        some = rows[start : start + AT_ONCE]
        read = json.loads(text)
        if [one["file_name"] for one in read] != [names[row] for row in some.tolist()]:
            raise ProofFailed("the file names of the images read back differently")
        back = np.array([[one["id"], one["width"], one["height"]] for one in read], dtype=np.int64).reshape(-1, 3)
        meant = np.concatenate([account.dataset.image_ids[some, None], account.dataset.image_sizes[some]], axis=1)
        account.same("images", meant, back)
        count += len(read)
    return count


def image_records(
    dataset: Dataset, rows: Ints, names: Sequence[str], more: Callable[[int], Mapping[str, Any]]
) -> Iterator[list[dict[str, Any]]]:
    """Gives id, file name and size of images, piece by piece."""
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        table = zip(dataset.image_ids[some].tolist(), some.tolist(), dataset.image_sizes[some].tolist(), strict=True)
        yield [
            {"id": id_, "file_name": names[row], "width": width, "height": height, **more(row)}
            for id_, row, (width, height) in table
        ]


def categories(dataset: Dataset, ids: dict[int | None, int] | None = None) -> list[dict[str, Any]]:
    """Gives the categories with all they carry; `ids` renumbers them by class index."""
    found = []
    for category in dataset.categories if ids is None else dataset.classes:
        one: dict[str, Any] = {"id": category.id if ids is None else ids[category.index], "name": category.name}
        if category.supercategory is not None:
            one["supercategory"] = category.supercategory
        if category.keypoints:
            one["keypoints"] = list(category.keypoints)
        if category.skeleton:
            one["skeleton"] = [list(pair) for pair in category.skeleton]
        found.append(one)
    return found


def _escaped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
