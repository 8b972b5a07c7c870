"""Finds the image of each Pascal VOC annotation file, and the part that ImageSets/Main puts it in."""

import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from steps.convert.dataset import NO_PART, TRAIN
from steps.convert.problems import Problem
from steps.convert.read.listing import Listing, Lookup
from steps.convert.read.parts import conflict, part_of
from steps.convert.read.yolo_names import read_text

ANNOTATIONS = ("Annotations", "annotations")
IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "img", "JPEGimages", "")
IGNORED = ("SegmentationClass", "SegmentationObject")


@dataclass(slots=True)
class VocImages:
    """The images by their place without suffix, and where images were found."""

    listing: Listing
    by_stem: dict[str, list[str]] = field(default_factory=dict)
    lookup: Lookup = field(default_factory=lambda: Lookup(()))
    folders: dict[str, None] = field(default_factory=dict)
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by the folder of annotation files

    def find(self, document: str, declared: str) -> list[str]:
        """Gives the images that a document may mean: by its own name first, then by the <filename> in it."""
        folder, _, own = document.rpartition("/")
        stem = own[: own.rindex(".")]
        declared = declared.replace("\\", "/").rpartition("/")[2]
        if folder not in self.places:
            self.places[folder] = tuple(image_folders(folder))
        places = self.places[folder]
        for place in places:
            if found := self._at(place + stem, declared):
                return found
        for name in (os.path.splitext(declared)[0], declared) if declared else ():
            for place in places:
                if found := self._at(place + name, declared):
                    return found
        return []

    def _at(self, place: str, declared: str) -> list[str]:
        stem = self.lookup.find(place)
        if stem is None:
            return []
        found = self.by_stem[stem]
        self.folders[posixpath.dirname(found[0])] = None
        return found if len(found) == 1 else [n for n in found if posixpath.basename(n) == declared] or found


def voc_images(listing: Listing) -> VocImages:
    """Indexes the images of a dataset by their names without suffix."""
    found = VocImages(listing)
    for name in listing.images():
        if not any(f"/{folder}/" in f"/{name}" for folder in IGNORED):
            found.by_stem.setdefault(posixpath.splitext(name)[0], []).append(name)
    found.lookup = Lookup(found.by_stem)
    return found


def documents(listing: Listing) -> list[str]:
    """Lists the annotation files: those in Annotations/, else all that end in .xml."""
    names = listing.ending(".xml")
    return [name for name in names if _annotations_at(name.split("/")) is not None] or names


def _annotations_at(steps: list[str]) -> int | None:
    return next((at for at, step in enumerate(steps[:-1]) if step in ANNOTATIONS), None)


def image_folders(folder: str) -> Iterator[str]:
    """Gives where the images of the annotation files in a folder may lie, the likeliest first; each ends in `/`."""
    steps = folder.split("/") if folder else []
    at = _annotations_at([*steps, ""])
    if at is not None:
        for name in IMAGE_FOLDERS:
            yield _prefix([*steps[:at], name, *steps[at + 1 :]])
    yield _prefix(steps)
    if at is None:
        for name in IMAGE_FOLDERS:
            yield _prefix([*steps, name])


def _prefix(steps: list[str]) -> str:
    return "".join(f"{step}/" for step in steps if step)


def read_parts(
    root: Path, listing: Listing, stems: dict[str, list[int]], count: int
) -> tuple[list[int], list[Problem]]:
    """Reads ImageSets/Main: the part of each image; `stems` gives the images by name, with and without folders.

    Lists of a single class (cat_train.txt) say nothing about parts and are passed over; so are those of segmentation,
    layouts and actions.
    """
    parts = [NO_PART] * count
    problems: list[Problem] = []
    lists = [
        n for n in listing.ending(".txt") if "ImageSets" in (s := n.split("/")[:-1]) and s[-1] in ("Main", "ImageSets")
    ]
    listed: set[int] = set()
    both: dict[str, set[int]] = {}
    for document in sorted(lists, key=lambda name: posixpath.basename(name).startswith("trainval")):
        word = posixpath.splitext(posixpath.basename(document))[0]
        part = part_of(word)
        if part == NO_PART and word != "trainval":
            continue
        rows = _rows(read_text(root, document), document, stems, problems)
        listed |= rows
        if word == "trainval":
            both[document] = rows
            continue
        for row in sorted(rows):
            if parts[row] not in (NO_PART, part):
                problems.append(conflict(_name_of(stems, row), parts[row], part, file=document))
            parts[row] = part
    problems += _trainval(both, parts)
    if lists and listed and len(listed) < count:
        message = f"{count - len(listed)} images are in no list of ImageSets/Main"
        cure = "list them, if they shall be used: where the lists name val or test, an image in none is left out"
        problems.append(Problem(level="warning", code="image_unlisted", file=lists[0], message=message, cure=cure))
    return parts, problems


def _trainval(both: dict[str, set[int]], parts: list[int]) -> list[Problem]:
    problems = []
    for document, rows in both.items():
        free = [row for row in rows if parts[row] == NO_PART]
        if free:
            for row in free:  # to be learnt from; where there is no val, some of train are set aside for it
                parts[row] = TRAIN
            message = f"{len(free)} images are in trainval, but neither in train nor in val: they count as train"
            cure = "nothing need be done: where there is no val, a part of train is set aside for it"
            problems.append(Problem(level="warning", code="trainval_only", file=document, message=message, cure=cure))
    return problems


def _rows(text: str, document: str, stems: dict[str, list[int]], problems: list[Problem]) -> set[int]:
    rows: set[int] = set()
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if not word:
            continue
        found = next((stems[key] for key in _spellings(word) if key in stems), None)
        if found == []:
            continue  # its annotation file cannot be read, which is told
        if found is None or len(found) > 1:
            many = f"is the name of {len(found)} images" if found else "has no annotation file and no image"
            cure = "add its files, or drop the line" if not found else "name it with its folder"
            message = f"line {number}: {word[:120]!r} {many}"
            problems.append(Problem(code="part_dangling", file=document, message=message, cure=cure))
            continue
        rows.add(found[0])
    return rows


def _spellings(word: str) -> Iterable[str]:
    yield word
    first, _, last = word.rpartition(" ")
    if last in ("1", "-1", "0"):  # a list of a class: the name, and whether the class is in the image
        yield first.strip()
        word = first.strip()
    yield os.path.splitext(word)[0]
    # Tools write the image's place as well.
    yield os.path.splitext(posixpath.basename(word.replace("\\", "/")))[0]


def _name_of(stems: dict[str, list[int]], row: int) -> str:
    return next((stem for stem, rows in stems.items() if rows == [row]), f"image {row + 1}")


def passed_over(listing: Listing) -> list[Problem]:
    """Says in one warning that masks and other lists of VOC are not read."""
    there = [folder for folder in IGNORED if any(step.rpartition("/")[2] == folder for step in listing.folders)]
    sets = ("Segmentation", "Layout", "Action")
    there += [f"ImageSets/{s}" for s in sets if any(f.endswith(f"ImageSets/{s}") for f in listing.folders)]
    if not there:
        return []
    message = f"{', '.join(there)} are not read: of Pascal VOC the boxes are taken, and the parts in ImageSets/Main"
    cure = "nothing need be done for detection; export masks as polygons (COCO) to train on them"
    return [Problem(level="warning", code="voc_passed_over", message=message, cure=cure)]
