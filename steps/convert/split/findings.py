"""Warns of what makes a resolved split misleading: the same image on both sides, classes on one side only."""

from collections.abc import Sequence

import numpy as np

from steps.convert.check.files import ImageFile
from steps.convert.check.telling import document_of, image_id
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.split.resolve import Split

SHOWN = 10_000  # pictures that stand twice and are told one by one


def split_findings(dataset: Dataset, files: Sequence[ImageFile], split: Split) -> list[Problem]:
    """Gives the warnings about pictures that stand twice, and about classes missing in a part."""
    part_of = {id_: part for part, ids in split.parts().items() for id_ in ids}
    ids = dataset.image_ids.tolist()
    return [*_twice(dataset, files, ids, part_of), *_uncovered(dataset, split)]


def _twice(dataset: Dataset, files: Sequence[ImageFile], ids: list[int], part_of: dict[int, str]) -> list[Problem]:
    same: dict[str, list[int]] = {}
    for row, file in enumerate(files):
        if file.digest:
            same.setdefault(file.digest, []).append(row)
    found = []
    for rows in same.values():
        if len(rows) == 1:
            continue
        used = [row for row in rows if ids[row] in part_of]
        names = dataset.image_names
        if len({part_of[ids[row]] for row in used}) > 1:
            code = "duplicate_across_splits"
            message = "the same picture is in " + " and ".join(
                f"{part_of[ids[row]]} ({names[row]})" for row in used[:4]
            )
            cure = "keep it in one part only: scores on pictures that were trained on mean nothing"
        else:
            code = "image_repeated"
            message = f"the same picture stands {len(rows)} times: {', '.join(names[row] for row in rows[:4])}"
            cure = "keep one, with the labels of all"
        found.append(
            Problem(
                level="warning",
                code=code,
                file=document_of(dataset, rows[0]),
                image_id=image_id(dataset, rows[0]),
                message=message,
                cure=cure,
            )
        )
        if len(found) >= SHOWN:
            break
    return found


def _uncovered(dataset: Dataset, split: Split) -> list[Problem]:
    keep = dataset.trained
    images, classes = dataset.annotation_image[keep], dataset.annotation_class[keep]
    amount = len(dataset.classes)
    somewhere = np.bincount(classes, minlength=amount) > 0
    found = []
    for part, meaning in (("train", "it cannot be learnt"), ("val", "its score will say nothing")):
        ids = np.array(split.parts()[part], dtype=np.int64)
        if not len(ids):
            continue
        inside = np.isin(dataset.image_ids, ids)[images]
        here = np.bincount(classes[inside], minlength=amount) > 0
        missing = np.flatnonzero(somewhere & ~here).tolist()
        if missing:
            names = ", ".join(repr(dataset.classes[index].name) for index in missing[:10])
            what = "1 class has" if len(missing) == 1 else f"{len(missing)} classes have"
            found.append(
                Problem(
                    level="warning",
                    code=f"class_not_in_{part}",
                    file=dataset.document,
                    message=f"{what} no image in {part}: {names}; {meaning}",
                    cure=f"put images of them into {part}",
                )
            )
    return found
