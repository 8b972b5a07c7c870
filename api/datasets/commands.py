"""What can be done with a dataset, and how the steps' program is told to do it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workflows.split import Split

Kind = Literal["check", "fix", "show", "convert", "split", "diff", "export"]
Target = Literal["yolo", "coco", "imagefolder", "masks", "dice"]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class CheckOptions(BaseModel):
    """A check."""

    model_config = _STRICT

    task: str | None = Field(None, max_length=64, description="default: what the dataset is made for")
    target: Target | None = Field(None, description="check what this target can hold, too")


class FixOptions(BaseModel):
    """A repair; the dataset itself is never touched."""

    model_config = _STRICT

    task: str | None = Field(None, max_length=64)
    register_copy: bool = Field(
        False, alias="register", description="put the repaired copy in the dataset's place; else it is only an output"
    )


class ShowOptions(BaseModel):
    """Numbers, and a sheet of samples with their labels drawn."""

    model_config = _STRICT

    task: str | None = Field(None, max_length=64)
    split: Split | None = None


class ConvertOptions(BaseModel):
    """A conversion to what a framework reads."""

    model_config = _STRICT

    to: Target
    task: str | None = Field(None, max_length=64)
    split: Split | None = None
    labels_only: bool = Field(False, description="labels without images")


class SplitOptions(BaseModel):
    """A split resolved into image ids."""

    model_config = _STRICT

    task: str | None = Field(None, max_length=64)
    split: Split | None = None
    save: bool = Field(False, description="jobs that leave the split to the dataset use it from now on")


class DiffOptions(BaseModel):
    """A comparison with another registered dataset."""

    model_config = _STRICT

    other: str = Field(max_length=128, description="the id of the dataset to compare it with")
    task: str | None = Field(None, max_length=64)


class ExportOptions(BaseModel):
    """A self-contained copy."""

    model_config = _STRICT

    to: Target = "dice"
    task: str | None = Field(None, max_length=64)
    split: Split | None = None


OPTIONS: Mapping[str, type[BaseModel]] = {
    "check": CheckOptions,
    "fix": FixOptions,
    "show": ShowOptions,
    "convert": ConvertOptions,
    "split": SplitOptions,
    "diff": DiffOptions,
    "export": ExportOptions,
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """A file or folder that a command makes below its work folder."""

    path: Path
    name: str
    """What it is called as an output; a folder is packed into one `.zip` of this name."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The words of one command, and what it will have made."""

    words: tuple[str, ...]
    made: tuple[Made, ...] = ()


def plan(
    kind: str,
    root: Path,
    *,
    options: Mapping[str, Any],
    work: Path,
    name: str,
    other: Path | None = None,
    split: Mapping[str, Any] | None = None,
) -> Plan:
    """Returns how a task's command is called; `split` is the dataset's own, used where the options name none."""
    task = ["--task", str(options["task"])] if options.get("task") else []
    parts: list[str] = []
    if (options.get("split") or split) and kind in ("check", "show", "convert", "split", "export"):
        chosen = Split.model_validate(options.get("split") or {})
        if split:
            chosen = chosen.over(Split.model_validate(split))
        file = work / "split-request.json"  # a file, since a list of every image does not fit into a command
        file.write_text(json.dumps(chosen.config()))
        parts = ["--split", f"@{file}"]
    out = work / "out"
    if kind == "check":
        page = work / "report.html"
        target = ["--target", str(options["target"])] if options.get("target") else []
        words = ["check", str(root), *task, *target, *parts, "--page", str(page), "--title", name]
        return Plan(words=tuple(words), made=(Made(path=page, name="report.html"),))
    if kind == "fix":
        kept = () if options.get("register") else (Made(path=out, name=f"{name}-fixed.zip"),)
        return Plan(words=("fix", str(root), str(out), *task), made=kept)
    if kind == "show":
        sheet, page = work / "sheet.png", work / "page.html"
        words = ["show", str(root), *task, *parts, "--sheet", str(sheet), "--page", str(page), "--title", name]
        made = (Made(path=sheet, name="sheet.png"), Made(path=page, name="page.html"))
        return Plan(words=tuple(words), made=made)
    if kind == "convert":
        only = ["--labels-only"] if options.get("labels_only") else []
        words = ["convert", str(root), str(out), "--to", str(options["to"]), *task, *parts, *only]
        return Plan(words=tuple(words), made=(Made(path=out, name=f"{name}-{options['to']}.zip"),))
    if kind == "export":
        to = str(options.get("to") or "dice")
        file = work / f"{name}-{to}.zip"
        words = ["export", str(root), str(file), "--to", to, *task, *parts]
        return Plan(words=tuple(words), made=(Made(path=file, name=file.name),))
    if kind == "split":
        file = work / "split.json"
        words = ["split", str(root), *task, *parts, "--out", str(file)]
        return Plan(words=tuple(words), made=(Made(path=file, name="split.json"),))
    if kind == "diff":
        return Plan(words=("diff", str(root), str(other), *task))
    raise ValueError(f"there is no command {kind!r}")
