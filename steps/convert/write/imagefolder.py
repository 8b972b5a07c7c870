"""Writes image classification as folders: {train,val,test}/{class}/…, whose order is the order of the classes."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steps.convert.check.files import ImageFile, Progress
from steps.convert.dataset import Dataset, Ints
from steps.convert.problems import DatasetRefused, Problem
from steps.convert.split.resolve import Split
from steps.convert.write.capacity import check_image_names, refused_task
from steps.convert.write.images import place_images, target_names
from steps.convert.write.link import Linker
from steps.convert.write.proof import Account, ProofFailed
from steps.convert.write.selection import labels_of, select
from steps.convert.write.spot_images import LOOKED_AT, spot_images

_PLAIN = re.compile(r"[^\W_][\w .()+&'-]*")  # letters of every script
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
LONGEST = 200  # bytes: file systems end at 255
SAFE = 50  # letters


def class_folders(names: Sequence[str]) -> list[str]:
    """Gives each class, in the order of its index, a folder name that is safe on every file system.

    Readers number classes by the sorted names of their folders: where the names do not sort as the indexes do, or are
    odd, each gets its index in front, so that a model's numbers are the dataset's.
    """
    plain = [name if _plain(name) else None for name in names]
    if None not in plain and len({name.casefold() for name in names}) == len(names) and sorted(names) == list(names):
        return list(names)
    width = len(str(max(len(names) - 1, 0)))
    safe = [re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", name)).strip("_")[:SAFE] or "class" for name in names]
    return [f"{index:0{width}}_{name}" for index, name in enumerate(safe)]


def check_imagefolder(dataset: Dataset, files: Sequence[ImageFile]) -> list[Problem]:
    """Tells what this target cannot hold, though the dataset is sound."""
    if dataset.task != "image_classification":
        return [refused_task(dataset, "imagefolder", ["image_classification"])]
    found = check_image_names(dataset, files)
    presence = dataset.class_presence()
    none = np.flatnonzero(~presence.any(axis=1) & dataset.image_labeled)
    if len(none):
        message = f"{len(none)} images have no class and are left out: a folder of images has no word for none"
        cure = "give them a class of their own, such as `other`, to train on them"
        id_ = int(dataset.image_ids[none[0]])
        found.append(
            Problem(
                level="warning", code="image_no_class", file=dataset.document, image_id=id_, message=message, cure=cure
            )
        )
    return found


def write_imagefolder(
    dataset: Dataset,
    split: Split,
    files: Sequence[ImageFile],
    *,
    folder: Path,
    final: Path,
    labels_only: bool = False,
    copy: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes into `folder`; with `labels_only` a list of files and class indexes for each part instead of images."""
    selection = select(dataset, split)
    account = Account(dataset, selection, covers=["classes"], resolution="exact")
    folders, names, linker = (
        class_folders([c.name for c in dataset.classes]),
        target_names(dataset, files),
        Linker(copy=copy),
    )
    class_of = _class_of(dataset, account)
    written: dict[str, Any] = {}
    for part, chosen in selection.rows.items():
        rows = chosen[class_of[chosen] >= 0]
        account.leave_images("no_class", chosen[class_of[chosen] < 0], "they have no class, and a folder means one")
        if labels_only:
            lines = [f"{folders[class_of[row]]}/{names[row]}\t{class_of[row]}\n" for row in rows.tolist()]
            (folder / f"{part}.txt").write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
        for index, name in enumerate(folders):
            # Empty ones stand too: a reader that counts folders shall count every class.
            place = folder / part / name
            place.mkdir(parents=True)
            if not labels_only:
                here = rows[class_of[rows] == index]
                place_images(place, here, names, files, linker)
                spot_images(dataset, files, here, names, place, most=1 + LOOKED_AT // len(folders))
        if progress:
            progress(f"images {part}", len(rows), len(rows))
        read = _listed(folder / f"{part}.txt") if labels_only else _standing(folder / part)
        _prove(account, part, rows, class_of, names, read)
        written[part] = {"images": len(rows), "labels": len(rows)}
    classes = [{"folder": name} for name in folders]
    return {"links": dict(linker.how), **written, "classes": classes, "proof": account.proof()}


def _class_of(dataset: Dataset, account: Account) -> Ints:
    """Gives each image's class, -1 where it has none; leaves all but the first annotation of it out."""
    account.leave("crowd", np.flatnonzero(dataset.annotation_crowd), "a crowd is no class of an image")
    labels = labels_of(dataset, np.arange(len(dataset.image_ids)), account.wanted)
    class_of = np.full(len(dataset.image_ids), -1, dtype=np.int64)
    filled = np.flatnonzero(np.diff(labels.first))
    heads = labels.rows[labels.first[filled]]
    class_of[filled] = dataset.annotation_class[heads]
    again = np.setdiff1d(labels.rows, heads)
    other = again[class_of[dataset.annotation_image[again]] != dataset.annotation_class[again]]
    if len(other):
        raise DatasetRefused([_two_classes(dataset, int(dataset.annotation_image[other[0]]))])
    account.leave("same_class_again", again, "the image has its class already")
    return class_of


def _two_classes(dataset: Dataset, row: int) -> Problem:
    message, cure = f"{dataset.image_names[row]} has two classes, a folder has one", "keep the one that is right"
    id_ = int(dataset.image_ids[row])
    return Problem(code="label_conflict", file=dataset.document, image_id=id_, message=message, cure=cure)


def _standing(part: Path) -> list[tuple[str, int]]:
    """Reads the tree back as the frameworks do: classes are the sorted folders."""
    folders = sorted(entry.name for entry in part.iterdir())
    return [(entry.name, index) for index, name in enumerate(folders) for entry in (part / name).iterdir()]


def _listed(path: Path) -> list[tuple[str, int]]:
    pairs = [line.rsplit("\t", 1) for line in path.read_bytes().decode("utf-8", "surrogatepass").split("\n")[:-1]]
    return [(name.split("/", 1)[1], int(index)) for name, index in pairs]


def _prove(
    account: Account, part: str, rows: Ints, class_of: Ints, names: Sequence[str], read: list[tuple[str, int]]
) -> None:
    row_of = {names[row]: row for row in rows.tolist()}
    if len(read) != len(row_of) or any(name not in row_of for name, _ in read):
        raise ProofFailed(f"{len(read)} images stand in {part}, {len(row_of)} were meant")
    found = np.full(len(class_of), -1, dtype=np.int64)
    for name, index in read:
        found[row_of[name]] = index
    account.same("images", account.dataset.image_ids[rows], account.dataset.image_ids[rows])
    account.same("classes", class_of[rows], found[rows])
    dataset = account.dataset
    for row in rows[:: max(1, -(-len(rows) // LOOKED_AT))].tolist():
        own = (dataset.annotation_image == row) & (dataset.annotation_class >= 0) & ~dataset.annotation_crowd
        if set(dataset.annotation_class[own].tolist()) != {int(found[row])}:
            raise ProofFailed(f"image {dataset.image_ids[row]} in {part} does not stand in the folder of its class")
    account.count(part, images=len(rows), classes=found[rows])


def _plain(name: str) -> bool:
    # Composed letters only: another system may store the other spelling, and sort it elsewhere.
    composed = unicodedata.is_normalized("NFC", name) and len(name.encode("utf-8", "replace")) <= LONGEST
    return composed and bool(_PLAIN.fullmatch(name)) and name[-1] not in " ." and not _RESERVED.fullmatch(name)
