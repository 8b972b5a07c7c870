"""Finds out which images of a YOLO dataset belong to which part, and which label file belongs to which image."""

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL
from steps.convert.problems import Problem
from steps.convert.read.listing import Listing, Lookup, forms_warning
from steps.convert.read.parts import TITLES, conflict, part_of
from steps.convert.read.yolo_names import Description, read_text

# Texts that lie beside images and labels without being labels.
NO_LABELS = frozenset(
    ["classes.txt", "labels.txt", "predefined_classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt"]
)
FOLDERS = {TRAIN: ("train",), VAL: ("valid", "val", "validation"), TEST: ("test",)}


@dataclass(slots=True)
class YoloFiles:
    """The images by their place below the dataset, each with its part and label file (None: it has none)."""

    images: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def match_files(root: Path, listing: Listing, description: Description) -> YoloFiles:
    """Gives the images sorted by name with their parts and labels; tells what is left over on either side."""
    known = listing.images()
    lookup = Lookup(known)
    found = YoloFiles()
    if description.parts:
        parts, lists = _described(root, listing, lookup, description, found.problems)
    else:
        parts, lists = {name: _by_folder(name) for name in _likely(known, listing)}, set[str]()
    found.images = sorted(parts)
    found.parts = [parts[name] for name in found.images]
    texts = Lookup(listing.ending(".txt"))
    found.labels = [_label(name, texts) for name in found.images]
    found.problems += _shared(found) + forms_warning(texts, what="label files") + forms_warning(lookup, what="images")
    found.problems += _left_over(known, parts, found, texts, lists, document=description.document)
    return found


def logical_names(images: list[str]) -> list[str]:
    """Gives each image the name it has without the folder `images` that YOLO puts it in, as far as that is unique."""
    names = ["/".join(_without_images(name.split("/"))) for name in images]
    return names if len(set(names)) == len(names) else images


def _without_images(steps: list[str]) -> list[str]:
    at = _images_at(steps)
    return steps if at is None else steps[:at] + steps[at + 1 :]


def _images_at(steps: list[str]) -> int | None:
    # The last folder of that name is the one that trainers replace by `labels`.
    return next((at for at in range(len(steps) - 2, -1, -1) if steps[at] == "images"), None)


def _label(name: str, texts: Lookup) -> str | None:
    stem = os.path.splitext(name)[0]
    steps = stem.split("/")
    at = _images_at(steps)
    if at is not None:
        steps[at] = "labels"
        label = texts.find("/".join(steps) + ".txt")
        if label:
            return label
    return texts.find(stem + ".txt")


def _described(
    root: Path, listing: Listing, lookup: Lookup, description: Description, problems: list[Problem]
) -> tuple[dict[str, int], set[str]]:
    parts: dict[str, int] = {}
    lists: set[str] = set()
    entries = dict(description.parts)
    for part, folders in FOLDERS.items():
        # A part that lies there and is not named is meant too.
        if part not in entries and (here := next((f for f in folders if f in listing.folders), None)):
            entries[part] = [here]
    for part, places in entries.items():
        for place in places:
            names = _images_of(root, listing, lookup, description, part, place, problems, lists)
            for name in names:
                other = parts.setdefault(name, part)
                if other != part:
                    problems.append(conflict(name, other, part, file=description.document))
    return parts, lists


def _images_of(
    root: Path, listing: Listing, lookup: Lookup, description: Description, part: int, place: str,
    problems: list[Problem], lists: set[str],
) -> Iterator[str]:  # fmt: skip
    document, key = description.document, TITLES[part]
    for candidate in _candidates(place, description.root):
        if candidate in ("", ".") or candidate in listing.folders:
            prefix = "" if candidate in ("", ".") else candidate + "/"
            yield from sorted(name for name in lookup.exact if name.startswith(prefix))
            return
        if candidate.lower().endswith(".txt") and candidate in listing.names:
            lists.add(candidate)
            yield from _listed(root, candidate, lookup, description, problems)
            return
    message = f"`{key}: {place[:120]}` is neither a folder nor a list of images of the dataset"
    if part == TEST:
        cure = "nothing need be done where there is no test part"
        problems.append(Problem(level="warning", code="part_missing", file=document, message=message, cure=cure))
    else:
        cure = f"put the images there, or drop the key `{key}`"
        problems.append(Problem(code="part_missing", file=document, message=message, cure=cure))


def _candidates(place: str, path: str) -> Iterator[str]:
    """Gives the places below the dataset that an entry may mean, the likeliest first."""
    place, path = _slashes(place), _slashes(path)
    if posixpath.isabs(place):
        if path and place.startswith(path.rstrip("/") + "/"):
            yield _inside(place[len(path.rstrip("/")) + 1 :])
        # The dataset lay elsewhere when this was written: its own folders are the tail.
        steps = [step for step in place.split("/") if step]
        yield from ("/".join(steps[start:]) for start in range(len(steps)) if steps[start:] != ["images"])
        return
    if path and not posixpath.isabs(path):
        yield _inside(posixpath.join(path, place))
    yield _inside(place)
    if place.endswith(".txt"):  # Darknet's data/train.txt, which lies at the top in an export
        steps = _inside(place).split("/")
        yield from ("/".join(steps[start:]) for start in range(1, len(steps)))


def _inside(place: str) -> str:
    """Gives a relative place without the steps that climb out, as in Roboflow's ../train/images."""
    steps = [step for step in posixpath.normpath(place).split("/") if step != ".."]
    return "/".join(steps)


def _slashes(place: str) -> str:
    place = place.replace("\\", "/")
    return place[2:] if place[1:2] == ":" and place[:1].isalpha() else place


def _listed(
    root: Path, document: str, lookup: Lookup, description: Description, problems: list[Problem]
) -> Iterator[str]:
    beside = posixpath.dirname(document)
    for number, line in enumerate(read_text(root, document).splitlines(), 1):
        place = _slashes(line.strip())
        if not place:
            continue
        tries = [posixpath.join(beside, place), place] if not posixpath.isabs(place) else []
        steps = [step for step in place.split("/") if step not in ("", ".", "..")]
        tries += ["/".join(steps[start:]) for start in range(len(steps))]
        name = next((own for own in map(lookup.find, map(_inside, tries)) if own), None)
        if name is None:
            message = f"line {number}: {line.strip()[:120]!r} is no image of the dataset"
            problems.append(
                Problem(code="image_missing", file=document, message=message, cure="add the file or drop the line")
            )
            continue
        yield name


def _likely(images: list[str], listing: Listing) -> list[str]:
    """Leaves out pictures that lie outside of all `images` folders, unless they have a label beside them."""
    if not any("images" in name.split("/")[:-1] for name in images):
        return images
    texts = frozenset(listing.ending(".txt"))
    return [n for n in images if "images" in n.split("/")[:-1] or os.path.splitext(n)[0] + ".txt" in texts]


def _by_folder(name: str) -> int:
    return next((part for step in name.split("/")[:-1] if (part := part_of(step)) != NO_PART), NO_PART)


def _shared(found: YoloFiles) -> list[Problem]:
    owner: dict[str, str] = {}
    problems = []
    for image, label in zip(found.images, found.labels, strict=True):
        if label and owner.setdefault(label, image) != image:
            message = f"it is the label file of two images: {owner[label]} and {image}"
            problems.append(Problem(code="label_shared", file=label, message=message, cure="rename one of the images"))
    return problems


def _left_over(
    known: list[str], parts: Mapping[str, int], found: YoloFiles, texts: Lookup, lists: set[str], *, document: str
) -> list[Problem]:
    problems = []
    unlisted = [name for name in known if name not in parts]
    if unlisted:
        message = f"{len(unlisted)} images are in no part that it names, the first: {unlisted[0]}"
        cure = "nothing need be done if they shall be left out; else add their folder"
        problems.append(Problem(level="warning", code="image_unlisted", file=document, message=message, cure=cure))
    used = {label for label in found.labels if label} | lists | {document}
    plain = Lookup(texts.exact)
    used |= {label for name in unlisted if (label := _label(name, plain))}
    folders = {posixpath.dirname(name) for name in known}
    for name in sorted(texts.exact - used):
        folder, own = posixpath.split(name)
        if own.lower() in NO_LABELS or own.lower().startswith(("readme", "license")):
            continue
        if "labels" in folder.split("/") or folder in folders:
            cure = "add the image, or drop the label file"
            problems.append(Problem(level="warning", code="label_without_image", file=name,
                                    message="no image belongs to this label file", cure=cure))  # fmt: skip
    return problems
