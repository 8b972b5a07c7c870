"""Looks a whole dataset through: layout, problems, split and version, without writing anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steps.convert.check.alike import tell_alike
from steps.convert.check.digests import Known, add_digests
from steps.convert.check.files import ImageFile, Progress, read_images
from steps.convert.check.grouping import grouped
from steps.convert.check.rules import check
from steps.convert.check.settle import settle
from steps.convert.check.telling import Findings
from steps.convert.dataset import Dataset
from steps.convert.facts import class_list, counts, split_facts
from steps.convert.problems import DatasetRefused, Problem, errors, warnings
from steps.convert.read.reading import read
from steps.convert.read.result import Reading
from steps.convert.split.findings import split_findings
from steps.convert.split.resolve import Split, resolve_split
from steps.convert.version import dataset_version_hash, manifest
from steps.convert.write.clipped import clipped
from steps.convert.write.target import check_target


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
    notes: list[str] = field(default_factory=list)  # how the layout was taken where it could be meant otherwise
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)  # what was cut at an edge or taken as not given
    told_by_reader: list[Problem] = field(default_factory=list)  # about what never entered the dataset

    @property
    def sound(self) -> bool:
        """Whether no error was found."""
        return not errors(self.problems)

    def report(self) -> dict[str, Any]:
        """Gives the findings as JSON data: layout, task, classes, counts, version, split, errors, warnings, groups."""
        return {
            "layout": self.layout,
            "task": self.task,
            "notes": self.notes,
            "classes": class_list(self.dataset) if self.dataset else [],
            "counts": counts(self.dataset) if self.dataset else {},
            "dataset_version_hash": self.version_hash,
            "split": split_facts(self.split) if self.split else None,
            "errors": [problem.as_dict() for problem in errors(self.problems)],
            "warnings": [problem.as_dict() for problem in warnings(self.problems)],
            "groups": [group.as_dict() for group in grouped(self.problems)],
        }


def inspect(
    root: Path,
    *,
    task: str | None = None,
    split: Mapping[str, Any] | None = None,
    target: str = "none",
    contained: bool = False,
    everything: bool = False,
    digests: Known | None = None,
    labels_only: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """Inspects a dataset folder; `task` None takes what the layout says, `contained` refuses links out of the folder.

    `digests` holds what is known of image files already: their SHA-256 by name below the folder, with size and time.
    With `labels_only` no image is looked at: there need be none, and without them the version stays unnamed.
    """
    found = Inspection(task=task or "unknown")
    try:
        reading = read(root, task=task, everything=everything, contained=contained, progress=progress)
        found.layout, found.task = reading.dataset.layout, reading.dataset.task
        found.problems, found.notes = [*found.problems, *reading.problems], reading.notes
        found.told_by_reader = reading.problems
        if not labels_only:
            _look_at_images(found, root, reading, contained=contained, digests=digests, progress=progress)
        dataset, unsettled, found.changed = settle(reading.dataset)
        found.dataset, problems = check(
            dataset,
            found.files,
            root=root,
            contained=contained,
            labels_only=labels_only,
            target=target,
            progress=progress,
        )
        found.changed |= clipped(dataset, found.dataset)
        found.problems += unsettled + problems
        if not labels_only:
            _name_version(found, root, reading, contained=contained, digests=digests)
        found.problems += check_target(found.dataset, found.files, target=target)
        if found.dataset and found.dataset.image_names:
            found.split, problems = resolve_split(found.dataset, job=split)
            found.problems += problems + split_findings(found.dataset, found.files, found.split)
            if everything and found.files:
                findings = Findings(found.dataset)
                tell_alike(findings, found.files, found.split, progress=progress)
                found.problems += findings.problems
    except DatasetRefused as refusal:
        found.problems.extend(refusal.problems)
        if found.layout == "unknown":
            found.layout = refusal.layout
    return found


def _look_at_images(
    found: Inspection,
    root: Path,
    reading: Reading,
    *,
    contained: bool,
    digests: Known | None,
    progress: Progress | None,
) -> None:
    dataset = reading.dataset
    files = reading.files
    if files is None:
        files = read_images(
            root, dataset.image_names, image_root=dataset.image_root, contained=contained, progress=progress
        )
    found.files = add_digests(files, known=digests, progress=progress)


def _name_version(found: Inspection, root: Path, reading: Reading, *, contained: bool, digests: Known | None) -> None:
    images = [(file.key or name, file.size, file.digest) for name, file in _named(reading.dataset, found.files)]
    if found.files and reading.other_images:
        others = reading.other_images
        files = read_images(root, others, image_root=reading.dataset.image_root, contained=contained)
        files = add_digests(files, known=digests)
        images += [(file.key or name, file.size, file.digest) for name, file in zip(others, files, strict=True)]
        images = list(dict.fromkeys(images))  # a file that two documents name is there once
    found.version_hash = dataset_version_hash(reading.contents, images)
    found.manifest = manifest(reading.contents, images)


def _named(dataset: Dataset, files: Sequence[ImageFile]) -> Iterator[tuple[str, ImageFile]]:
    return zip(dataset.image_names, files, strict=True) if files else iter(())
