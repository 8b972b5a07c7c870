"""Writes a repaired copy of a dataset as DICE 1.0, and says what was done and what waits for a person."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from steps.convert.check import settle
from steps.convert.check.files import ImageFile, Progress
from steps.convert.check.fix_images import fix_images, reset_orientation
from steps.convert.check.fix_shapes import fix_shapes
from steps.convert.check.inspection import Inspection
from steps.convert.check.remedies import BY_READING
from steps.convert.check.repair import Repair
from steps.convert.dataset import Dataset
from steps.convert.problems import DatasetRefused, errors
from steps.convert.read.fields import as_id
from steps.convert.split.rewrite import rewritten
from steps.convert.write.dice import check_dice, write_dice


def repaired(found: Inspection) -> tuple[Repair, list[ImageFile]]:
    """Gives the repaired dataset and the files of its images."""
    assert found.dataset is not None
    repair = Repair(found.dataset)
    for problem in errors(found.told_by_reader):
        if problem.code in BY_READING:
            example = {"file": problem.file, "image": problem.image_id, "annotation": problem.annotation_id}
            repair.did(problem.code, BY_READING[problem.code], **example, told=problem.message)
        else:
            repair.leave_all([problem])
    for problem in found.problems:
        if problem.code == settle.CODE:
            example = {"file": problem.file, "image": problem.image_id, "annotation": problem.annotation_id}
            repair.did(problem.code, "left out numbers that are NaN, infinity or beyond any image", **example)
    files = fix_images(found, repair)
    fix_shapes(repair)
    repair.dataset = replace(repair.dataset, split_config=_split_config(repair.dataset))
    return repair, files


def repairs(found: Inspection) -> int:
    """Counts what a repaired copy would mend; 0 where there would be none."""
    if found.dataset is None or not found.problems:
        return 0
    repair, files = repaired(found)
    return 0 if check_dice(repair.dataset, files) else sum(fix.count for fix in repair.fixes)


def write_repaired(
    repair: Repair, files: list[ImageFile], *, folder: Path, final: Path, progress: Progress | None
) -> dict[str, Any]:
    """Writes the copy into `folder`; images are linked, but for those of which a tag is changed."""
    if problems := check_dice(repair.dataset, files):
        raise DatasetRefused(problems, layout=repair.dataset.layout)
    # A file that is to be changed must be one of its own.
    files = [
        replace(file, cut=file.cut or name in repair.turned)
        for name, file in zip(repair.dataset.image_names, files, strict=True)
    ]
    written = write_dice(repair.dataset, None, files, folder=folder, final=final, progress=progress)
    for name in sorted(repair.turned):
        reset_orientation(folder / "images" / name)
    return written


def _split_config(dataset: Dataset) -> dict[str, Any] | None:
    """Gives the dataset's own words about its split without the images that the copy does not have."""
    config = dataset.split_config
    if config is None:
        return None
    known = {*dataset.image_ids.tolist()}
    names = {*(dataset.image_keys or ()), *dataset.image_names}

    return rewritten(
        config, lambda key: key if as_id(key) in known or (isinstance(key, str) and key in names) else None
    )
