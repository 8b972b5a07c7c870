"""Reads what a YOLO dataset says of itself: data.yaml, Darknet's obj.data, or a bare list of class names."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steps.convert.dataset import TEST, TRAIN, VAL
from steps.convert.problems import DatasetRefused, Problem
from steps.convert.read.listing import Listing
from steps.convert.read.plain_yaml import Value, YamlRefused, parse_yaml

YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
LISTS = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "notes.json")
KEYS = {TRAIN: ("train",), VAL: ("val", "valid", "validation"), TEST: ("test",)}
LARGEST = 16 * 2**20  # bytes of a description: ten thousand classes take less than one of them


@dataclass(slots=True, kw_only=True)
class Description:
    """Class names by their index, where the parts lie, and the shape of keypoints."""

    document: str
    names: list[str]
    root: str = ""  # data.yaml's `path`
    parts: dict[int, list[str]] = field(default_factory=dict)  # folders and lists of images, as written
    shape: tuple[int, int] | None = None  # kpt_shape: how many keypoints, of how many numbers
    flip_idx: tuple[int, ...] = ()
    point_names: tuple[str, ...] = ()
    task: str | None = None
    problems: list[Problem] = field(default_factory=list)


def describe(root: Path, listing: Listing) -> Description:
    """Finds and reads the description; raises DatasetRefused where no class has a name."""
    top = [name for name in listing.names if "/" not in name]
    chosen = next((name for name in YAML_NAMES if name in top), None)
    if chosen is None:
        others = [name for name in top if name.endswith((".yaml", ".yml")) and _has_names(root, name)]
        if len(others) > 1:
            raise refusal("document_missing", f"{' and '.join(others)} both name classes", "leave one of them")
        chosen = others[0] if others else None
    if chosen:
        return _from_yaml(root, listing, chosen)
    darknet = [name for name in listing.names if name.endswith(".data")]
    if len(darknet) == 1:
        return _from_darknet(root, listing, darknet[0])
    document = _name_list(root, listing)
    return Description(document=document, names=_names(root, document))


def _has_names(root: Path, name: str) -> bool:
    try:
        return any(line.startswith("names:") for line in read_text(root, name).splitlines())
    except DatasetRefused:
        return False


def read_text(root: Path, name: str) -> str:
    """Reads a small text file; raises DatasetRefused where it is none."""
    try:
        with open(root / name, "rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise refusal("document_broken", f"it cannot be read: {error.strerror}", "make it readable", name) from None
    if len(raw) > LARGEST:
        raise refusal("document_broken", f"it is larger than {LARGEST >> 20} MB", "export the dataset again", name)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise refusal("document_broken", f"it is not UTF-8 text (line {line})", "save it as UTF-8", name) from None


def refusal(code: str, message: str, cure: str, file: str | None = None) -> DatasetRefused:
    """Makes the refusal of a dataset that cannot be read."""
    return DatasetRefused([Problem(code=code, file=file, message=message, cure=cure)])


def _from_yaml(root: Path, listing: Listing, document: str) -> Description:
    try:
        value = parse_yaml(read_text(root, document))
    except YamlRefused as error:
        cure = "write it in plain YAML: `key: value`, lists and maps"
        raise refusal("document_broken", f"unreadable YAML, {error}", cure, document) from None
    if not isinstance(value, dict):
        raise refusal("document_broken", "it holds no `key: value`", "add `names:` with the classes", document)
    found = Description(document=document, names=[])
    count = _whole(value.get("nc"))
    found.names = _listed_names(root, listing, value.get("names"), count, found)
    if count is not None and count != len(found.names):
        message = f"`nc` is {count}, but `names` holds {len(found.names)} classes"
        found.problems.append(_bad(found, "classes_count", message, "correct `nc`, or drop it"))
    found.root = _text(value.get("path"))
    for part, keys in KEYS.items():
        for key in keys:
            if entries := _texts(value.get(key)):
                found.parts[part] = entries
    found.task = _text(value.get("task")) or None
    _keypoints(found, value)
    return found


def _listed_names(root: Path, listing: Listing, value: Value, count: int | None, found: Description) -> list[str]:
    if isinstance(value, str) and value in listing.names:
        return _names(root, value)
    if isinstance(value, str) and os.path.basename(value) in listing.names:
        return _names(root, os.path.basename(value))
    if isinstance(value, dict):
        numbers = {_whole(key): name for key, name in value.items()}
        if None in numbers or sorted(numbers, key=lambda n: n or 0) != list(range(len(value))):
            odd = next((key for key in value if _whole(key) is None), None)
            what = f"`{odd}` is no number" if odd else f"{len(value)} names need the numbers 0 to {len(value) - 1}"
            message = f"`names` does not number the classes from 0 without a gap: {what}"
            raise refusal("classes_malformed", message, "number them 0, 1, 2, …", found.document)
        value = [numbers[index] for index in range(len(value))]
    if value is None and count:
        message = f"`names` is missing: the {count} classes are called class_0, class_1, …"
        found.problems.append(_bad(found, "class_names", message, "name the classes in data.yaml", level="warning"))
        return [f"class_{index}" for index in range(count)]
    if not isinstance(value, list) or not value:
        shown = "is missing" if value is None else f"is {str(value)[:40]!r}"
        raise refusal("classes_malformed", f"`names` {shown}", "list the class names there", found.document)
    return _checked(value, found.document)


def _checked(names: list[Value], document: str) -> list[str]:
    problems, seen = [], dict[str, int]()
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            problems.append(("category_name", f"class {index} has no name", "give it a name, in quotes if need be"))
        elif name in seen:
            message = f"class name {name!r} is used by class {seen[name]} and class {index}"
            problems.append(("category_duplicate", message, "merge or rename one"))
        else:
            seen[name] = index
    if problems:
        raise DatasetRefused([Problem(code=c, file=document, message=m, cure=cure) for c, m, cure in problems])
    return list(seen)


def _keypoints(found: Description, value: Mapping[str, Value]) -> None:
    given = value.get("kpt_shape")
    if given is None:
        return
    shape = [_whole(number) for number in given] if isinstance(given, list) else []
    if len(shape) != 2 or None in shape or shape[1] not in (2, 3) or not 0 < (shape[0] or 0) <= 1000:
        message = f"`kpt_shape` is {given!r}, not [how many keypoints, 2 or 3]"
        raise refusal("keypoint_shape", message, "write for example [17, 3]", found.document)
    count = shape[0] or 0
    found.shape = (count, shape[1] or 0)
    flip = value.get("flip_idx")
    if flip is not None:
        order = [_whole(number) for number in flip] if isinstance(flip, list) else []
        if sorted(n if n is not None else -1 for n in order) != list(range(count)):
            message = f"`flip_idx` is no order of the {count} keypoints: each number from 0 to {count - 1} once"
            raise refusal(
                "keypoint_flip", message, "say for each keypoint which one it becomes mirrored", found.document
            )
        found.flip_idx = tuple(n for n in order if n is not None)
    names = value.get("kpt_names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    if isinstance(names, list) and len(names) == count:
        found.point_names = tuple(str(name) for name in names)


def _from_darknet(root: Path, listing: Listing, document: str) -> Description:
    value: dict[str, str] = {}
    for line in read_text(root, document).splitlines():
        key, equals, text = line.partition("=")
        if equals:
            value[key.strip().lower()] = text.strip()
    wanted = value.get("names", "")
    tails = [name for name in listing.names if wanted and f"/{wanted}".endswith(f"/{name}")]
    lists = tails or [name for name in listing.names if name.endswith(".names")]
    if not lists:
        raise refusal("classes_missing", f"`names = {wanted}` is no file of the dataset", "add it", document)
    names = _names(root, max(lists, key=len))
    parts = {part: [value[key] for key in keys if value.get(key)] for part, keys in KEYS.items()}
    found = Description(document=document, names=names, parts={p: entries for p, entries in parts.items() if entries})
    count = _whole(value.get("classes"))
    if count is not None and count != len(names):
        message = f"`classes` is {count}, but {len(names)} are named"
        found.problems.append(_bad(found, "classes_count", message, "correct one of the two"))
    return found


def _name_list(root: Path, listing: Listing) -> str:
    for wanted in LISTS:
        found = [name for name in listing.names if os.path.basename(name) == wanted]
        if found:
            first = min(found, key=lambda name: (name.count("/"), name))
            other = next((n for n in found if _names(root, n) != _names(root, first)), None)
            if other:
                raise refusal("classes_differ", f"{first} and {other} list other classes", "leave one of them")
            return first
    cure = "add data.yaml with `names:`, or classes.txt with one name on each line"
    raise refusal("classes_missing", "nothing names the classes: no data.yaml, no classes.txt, no obj.names", cure)


def _names(root: Path, document: str) -> list[str]:
    text = read_text(root, document)
    if document.endswith(".json"):
        try:
            listed = json.loads(text)["categories"]
            names = {int(item["id"]): item["name"] for item in listed}
        except (ValueError, KeyError, TypeError, RecursionError):
            cure = "add classes.txt with one name on each line"
            raise refusal("classes_malformed", "it holds no `categories` with id and name", cure, document) from None
        if not names or sorted(names) != list(range(len(names))):
            raise refusal(
                "classes_malformed", "its ids do not run from 0 without a gap", "number them 0, 1, …", document
            )
        return _checked([names[index] for index in range(len(names))], document)
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not lines:
        raise refusal("classes_missing", "it is empty", "write one class name on each line", document)
    return _checked(list(lines), document)


def _bad(found: Description, code: str, message: str, cure: str, *, level: str = "error") -> Problem:
    return Problem(level="error" if level == "error" else "warning", code=code, file=found.document, message=message,
                   cure=cure)  # fmt: skip


def _whole(value: Value) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else None


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: Value) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item.strip() for item in values if isinstance(item, str) and item.strip()]
