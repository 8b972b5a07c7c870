"""Chooses the annotation documents that hold a task: by name, one for each part where there are several."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from steps.convert.problems import DatasetRefused, Problem
from steps.convert.split.request import PART_WORDS
from steps.convert.tasks import DOCUMENT_WORDS

FALLBACKS = ("annotations.json", "annotation.json")
ROBOFLOW = "_annotations.coco.json"
WORDS = {
    "semantic_segmentation": ("semantic_segmentation", "semantic", "segmentation"),
    "panoptic_segmentation": ("panoptic_segmentation", "panoptic", "segmentation"),
}
OWN = {  # a task's own document, in the order in which a task is guessed
    "annotations_detection.json": "object_detection",
    "annotations_segmentation.json": "instance_segmentation",
    "annotations_pose.json": "pose_estimation",
    "annotations_classification.json": "image_classification",
}
FAMILY = re.compile(
    r"(?P<family>.*?)[-_.]?(?P<part>train|training|val|valid|validation|test|testing|default)?[-_]?\d*\Z"
)
POSES, INSTANCES = "person_keypoints", "instances"


@dataclass(frozen=True, slots=True)
class Choice:
    """The documents to read, with the part of the split that each stands for, and the task that their name says."""

    documents: tuple[tuple[str, str | None], ...]
    task: str | None = None


def document_names(root: Path) -> list[str]:
    """Lists the annotation documents of a dataset, sorted by name."""
    found = _named_like_one(root)
    found |= {f"annotations/{p.name}" for p in (root / "annotations").glob("*.json")}
    found |= {f"{p.parent.name}/{p.name}" for p in root.glob(f"*/{ROBOFLOW}")} | {p.name for p in root.glob(ROBOFLOW)}
    return sorted(name for name in found if (root / name).is_file())


def no_documents(root: Path) -> list[str]:
    """Says of what is named like an annotation document, and is no file, what it is."""
    told = []
    for name in sorted(_named_like_one(root)):
        path = root / name
        if not path.exists():
            told.append(f"{name} is a link that leads nowhere or in a circle")
        elif not path.is_file():
            told.append(f"{name} is {'a folder' if path.is_dir() else 'a pipe or a device'}")
    return told


def _named_like_one(root: Path) -> set[str]:
    patterns = ("annotation*.json", "instances_*.json", f"{POSES}_*.json")
    return {path.name for pattern in patterns for path in root.glob(pattern)}


def choose(names: Sequence[str], *, task: str | None) -> Choice | None:
    """Picks the documents of a task: its own file, else the general one, else COCO's; None where none holds it."""
    words = WORDS.get(task or "", (DOCUMENT_WORDS.get(task or "", task),))
    own = [f"annotations_{word}.json" for word in words] if task else list(OWN)
    for wanted in (*own, *FALLBACKS):
        if wanted in names:
            return Choice(((wanted, None),), task or OWN.get(wanted))
    families: dict[str, list[tuple[str, str | None]]] = {}
    for name in names:
        family, part = _family(name)
        families.setdefault(family, []).append((name, part))
    order = (POSES, INSTANCES, "") if task == "pose_estimation" else (INSTANCES, "", POSES)
    for family in (*order, *sorted(key for key in families if key.startswith(("annotation", "_annotation")))):
        if family in families and family.removeprefix("annotations_") not in DOCUMENT_WORDS.values():
            return Choice(_parts(families[family]), task)
    coco = [name for name in names if PurePosixPath(name).name.startswith((INSTANCES, POSES))]
    only = coco if len(coco) == 1 else [name for name in names if len(names) == 1 and "/" in name]
    return Choice(((only[0], None),), task) if only else None


def part_of_document(name: str) -> str | None:
    """Gives the part of the split that a document's name says, None where it says none."""
    return _family(name)[1]


def _family(name: str) -> tuple[str, str | None]:
    path = PurePosixPath(name)
    if path.name == ROBOFLOW:
        return ROBOFLOW, PART_WORDS.get(path.parent.name.lower())
    found = FAMILY.match(path.stem.lower())
    assert found is not None
    return found["family"], PART_WORDS.get(found["part"] or "")


def _parts(members: list[tuple[str, str | None]]) -> tuple[tuple[str, str | None], ...]:
    if len(members) == 1:
        return ((members[0][0], None),)
    parts = [part for _, part in members]
    if None in parts or len(set(parts)) < len(parts):
        names = ", ".join(name for name, _ in members)
        message = f"several documents say what is in the images, and not which part each is: {names}"
        cure = "keep one, or name them …_train.json, …_val.json and …_test.json"
        raise DatasetRefused([Problem(code="document_ambiguous", message=message, cure=cure)])
    return tuple(members)
