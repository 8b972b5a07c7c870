"""Looks a whole dataset through: layout, problems, split and version, without writing anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steps.convert.check import check
from steps.convert.dataset import Dataset
from steps.convert.documents import Document, choose_document, document_names, load_document
from steps.convert.facts import class_list, counts, split_facts
from steps.convert.fields import as_list, as_object
from steps.convert.files import ImageFile, read_images
from steps.convert.layout import SUPPORTED, detect_document, detect_folder
from steps.convert.problems import DatasetRefused, Problem, errors, warnings
from steps.convert.read_dice import read_dice
from steps.convert.split import Split, resolve_split
from steps.convert.split_findings import split_findings
from steps.convert.tasks import DOCUMENT_WORDS
from steps.convert.version import dataset_version_hash, document_content, manifest
from steps.convert.write_yolo import check_yolo


@dataclass(slots=True, kw_only=True)
class Inspection:
    """All that was found out; `dataset`, `split` and `version_hash` are None as far as nothing could be read."""

    task: str
    layout: str = "unknown"
    dataset: Dataset | None = None
    files: list[ImageFile] = field(default_factory=list)
    split: Split | None = None
    version_hash: str | None = None
    manifest: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no error was found."""
        return not errors(self.problems)

    def report(self) -> dict[str, Any]:
        """Gives the findings as JSON data: layout, task, classes, counts, version, split, errors, warnings."""
        return {
            "layout": self.layout,
            "task": self.task,
            "classes": class_list(self.dataset) if self.dataset else [],
            "counts": counts(self.dataset) if self.dataset else {},
            "dataset_version_hash": self.version_hash,
            "split": split_facts(self.split) if self.split else None,
            "errors": [problem.as_dict() for problem in errors(self.problems)],
            "warnings": [problem.as_dict() for problem in warnings(self.problems)],
        }


def inspect(
    root: Path, *, task: str, split: Mapping[str, Any] | None = None, target: str = "none", contained: bool = False
) -> Inspection:
    """Inspects a dataset folder for a task; `contained` refuses image files that are links out of the folder."""
    found = Inspection(task=task)
    try:
        _look(found, root, target=target, contained=contained)
        if found.dataset and found.dataset.image_names:
            found.split, problems = resolve_split(found.dataset, job=split)
            found.problems += problems + split_findings(found.dataset, found.files, found.split)
    except DatasetRefused as refusal:
        found.problems.extend(refusal.problems)
    return found


def _look(found: Inspection, root: Path, *, target: str, contained: bool) -> None:
    if not root.is_dir():
        raise _refusal("dataset_missing", f"{root} is no folder", "give the folder of a dataset")
    names = document_names(root)
    chosen = choose_document(names, task=found.task)
    if chosen is None:
        raise _without_document(found, root, names)
    document = load_document(root, chosen)
    layout = detect_document(chosen, document.value, beside=frozenset(p.name for p in root.iterdir()))
    found.layout = layout.id
    if layout.id not in SUPPORTED:
        message = f"recognised as {layout.title} ({layout.evidence}), which is not supported yet"
        raise _refusal("layout_unsupported", message, "convert it to DICE 1.0 (D1)", file=chosen)
    dataset, problems = read_dice(document, layout=layout.id, task=found.task)
    found.problems += problems
    found.files = read_images(root, dataset.image_names, image_root=dataset.image_root, contained=contained)
    found.dataset, problems = check(dataset, found.files)
    found.problems += problems
    others = [_beside(found, root, name) for name in names if name != chosen]
    _name_version(found, root, [document, *others], contained=contained)
    if target == "yolo":
        found.problems += check_yolo(found.dataset, found.files)


def _beside(found: Inspection, root: Path, name: str) -> Document:
    # Documents of other tasks are content too, but only the job's own must be sound.
    try:
        return load_document(root, name)
    except DatasetRefused as refusal:
        first = refusal.problems[0]
        found.problems.append(
            Problem(level="warning", code=first.code, file=name, message=first.message, cure=first.cure)
        )
        return Document(name, (root / name).read_bytes().hex())


def _name_version(found: Inspection, root: Path, documents: list[Document], *, contained: bool) -> None:
    assert found.dataset is not None
    known = dict(zip(found.dataset.image_names, found.files, strict=True))
    more: dict[str, None] = {}
    for document in documents[1:]:
        for image in as_list(as_object(document.value).get("images")) or []:
            name = as_object(image).get("file_name")
            if isinstance(name, str) and name not in known:
                more[name] = None
    rest = read_images(root, list(more), image_root=found.dataset.image_root, contained=contained)
    rows = [(file.key or name, file.size, file.digest) for name, file in known.items()]
    rows += [(file.key or name, file.size, file.digest) for name, file in zip(more, rest, strict=True)]
    contents = {document.name: document_content(document.value) for document in documents}
    found.version_hash, found.manifest = dataset_version_hash(contents, rows), manifest(contents, rows)


def _without_document(found: Inspection, root: Path, names: list[str]) -> DatasetRefused:
    word = DOCUMENT_WORDS.get(found.task, found.task)
    if names:
        message = f"no annotation document for {found.task}: the dataset holds {', '.join(names)}"
        return _refusal("document_missing", message, f"add annotations_{word}.json, or choose another task")
    layout = detect_folder(root)
    found.layout = layout.id
    if layout.id == "unknown":
        cure = f"add annotations_{word}.json or annotations.json at the top of the dataset"
        return _refusal("document_missing", f"no annotation document ({layout.evidence})", cure)
    message = f"recognised as {layout.title} ({layout.evidence}), which is not supported yet"
    return _refusal("layout_unsupported", message, "convert it to DICE 1.0 (D1)")


def _refusal(code: str, message: str, cure: str, *, file: str | None = None) -> DatasetRefused:
    return DatasetRefused([Problem(code=code, file=file, message=message, cure=cure)])
