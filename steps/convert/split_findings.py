"""Warns of what makes a resolved split misleading: the same image on both sides, classes on one side only."""

from collections.abc import Sequence

from steps.convert.dataset import Dataset
from steps.convert.files import ImageFile
from steps.convert.problems import Problem
from steps.convert.split import Split


def split_findings(dataset: Dataset, files: Sequence[ImageFile], split: Split) -> list[Problem]:
    """Gives the warnings about leakage between the parts and about classes missing in one."""
    part_of = {id_: part for part, ids in split.parts().items() for id_ in ids}
    ids = dataset.image_ids.tolist()
    return [*_leaks(dataset, files, ids, part_of), *_uncovered(dataset, ids, part_of)]


def _leaks(dataset: Dataset, files: Sequence[ImageFile], ids: list[int], part_of: dict[int, str]) -> list[Problem]:
    same: dict[str, list[int]] = {}
    for row, file in enumerate(files):
        if file.digest and ids[row] in part_of:
            same.setdefault(file.digest, []).append(row)
    return [
        Problem(
            level="warning",
            code="duplicate_across_splits",
            file=dataset.document,
            image_id=ids[rows[0]],
            message="the same picture is in "
            + " and ".join(f"{part_of[ids[row]]} ({dataset.image_names[row]})" for row in rows[:4]),
            cure="keep it in one part only: scores on pictures that were trained on mean nothing",
        )
        for rows in same.values()
        if len({part_of[ids[row]] for row in rows}) > 1
    ]


def _uncovered(dataset: Dataset, ids: list[int], part_of: dict[int, str]) -> list[Problem]:
    presence = dataset.class_presence()
    found = []
    for part, meaning in (("train", "it cannot be learnt"), ("val", "its score will say nothing")):
        rows = [row for row, id_ in enumerate(ids) if part_of.get(id_) == part]
        if not rows:
            continue
        missing = (presence.any(axis=0) & ~presence[rows].any(axis=0)).nonzero()[0].tolist()
        if missing:
            names = ", ".join(repr(dataset.classes[index].name) for index in missing[:10])
            found.append(
                Problem(
                    level="warning",
                    code=f"class_not_in_{part}",
                    file=dataset.document,
                    message=f"{len(missing)} classes have no image in {part}: {names}; {meaning}",
                    cure=f"put images of them into {part}",
                )
            )
    return found
