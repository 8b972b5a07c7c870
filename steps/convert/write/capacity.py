"""Tells what a target cannot hold though the dataset is sound: tasks, image formats, names that collide."""

from collections.abc import Sequence

from steps.convert.check.files import ImageFile
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.write.flat_names import SUFFIXES, stem_of
from steps.convert.write.images import target_names


def refused_task(dataset: Dataset, target: str, tasks: Sequence[str]) -> Problem:
    """Says that a target is not written for the dataset's task, and for which it is."""
    message = f"the target {target} is not written for {dataset.task}"
    return Problem(
        code="target_unsupported", message=message, cure=f"choose another target; this one takes {', '.join(tasks)}"
    )


def check_image_names(dataset: Dataset, files: Sequence[ImageFile]) -> list[Problem]:
    """Finds images that trainers do not open, and names that collide once the folders are gone."""
    found = []
    ids = dataset.image_ids.tolist()
    for id_, name, file in zip(ids, dataset.image_names, files, strict=False):
        if file.format and file.format not in SUFFIXES:
            message = f"{name} is {file.format}, which the trainers of this target do not read"
            cure = f"convert it to one of: {', '.join(SUFFIXES)}"
            found.append(Problem(code="image_format", file=dataset.document, image_id=id_, message=message, cure=cure))
    names = target_names(dataset, files)
    keys = [stem_of(name).casefold() for name in names]
    if len(set(keys)) == len(keys):
        return found
    stems: dict[str, int] = {}
    for id_, name, key in zip(ids, names, keys, strict=True):
        other = stems.setdefault(key, id_)
        if other != id_:
            message = f"flattened to {name!r} its name collides with that of image {other}"
            cure = "rename one of the two files"
            found.append(
                Problem(code="name_collision", file=dataset.document, image_id=id_, message=message, cure=cure)
            )
    return found
