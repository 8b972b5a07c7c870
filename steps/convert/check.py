"""Checks a dataset against its image files and its own rules, and tells everything at once."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from steps.convert.dataset import Dataset
from steps.convert.files import TURNED, ImageFile
from steps.convert.problems import Problem
from steps.convert.tasks import BOXED

CLIP = 1.0  # pixels by which a box may stick out: rounding of the tools that drew it
IMBALANCE = 20  # times as many boxes in the largest class as in the smallest
SMALLEST_SIDE = 10  # pixels; frameworks leave out smaller images without a word


def check(dataset: Dataset, files: Sequence[ImageFile]) -> tuple[Dataset, list[Problem]]:
    """Gives the dataset with its boxes clipped to the images, and every finding about it."""
    problems: list[Problem] = []
    if not dataset.image_names:
        message, cure = "the dataset is empty: no usable image is listed", "add images to the document"
        problems.append(Problem(code="dataset_empty", file=dataset.document, message=message, cure=cure))
    if not dataset.classes:
        message, cure = "no category besides the background", "add at least one category"
        problems.append(Problem(code="no_classes", file=dataset.document, message=message, cure=cure))
    for row, file in enumerate(files):
        problems.extend(_image(dataset, row, file))
    if dataset.task in BOXED:
        dataset = _boxes(dataset, problems)
    problems.extend(_classes(dataset))
    return dataset, problems


def _image(dataset: Dataset, row: int, file: ImageFile) -> list[Problem]:
    id_, name = int(dataset.image_ids[row]), dataset.image_names[row]
    if file.problem:
        code, message, cure = file.problem
        return [Problem(code=code, file=dataset.document, image_id=id_, message=message, cure=cure)]
    declared = (int(dataset.image_sizes[row, 0]), int(dataset.image_sizes[row, 1]))
    shown = (file.height, file.width) if file.orientation in TURNED else (file.width, file.height)
    found: list[Problem] = []
    if declared != shown:
        if declared == (file.width, file.height):
            code = "image_turned"
            message = (
                f"{name} is turned by its EXIF orientation {file.orientation} to {_size(shown)} when it is shown, "
                f"but annotated as {_size(declared)}"
            )
            cure = "turn the pixels for good and drop the EXIF tag, or annotate the turned image"
        else:
            code, message = "size_mismatch", f"{name} is {_size(shown)}, the document says {_size(declared)}"
            cure = "correct width and height, or put the right file there"
        found.append(Problem(code=code, file=dataset.document, image_id=id_, message=message, cure=cure))
    elif file.orientation != 1:
        message = f"{name} has EXIF orientation {file.orientation}; its boxes are taken to fit the turned image"
        found.append(_warn("image_turned", dataset, message, "look at a few boxes", image_id=id_))
    if file.cut:
        message = f"{name} lacks its end: the file was cut off or carries extra data"
        found.append(_warn("image_cut", dataset, message, "export the image again", image_id=id_))
    if min(shown) < SMALLEST_SIDE:
        message = f"{name} is only {_size(shown)}: frameworks ignore sides under {SMALLEST_SIDE} px"
        found.append(_warn("image_small", dataset, message, "leave it out or enlarge it", image_id=id_))
    return found


def _boxes(dataset: Dataset, problems: list[Problem]) -> Dataset:
    boxes = dataset.boxes.copy()
    kept = (dataset.annotation_class >= 0) & ~dataset.annotation_crowd
    absent = np.isnan(boxes).all(axis=1)
    finite = np.isfinite(boxes).all(axis=1)
    sizes = dataset.image_sizes[dataset.annotation_image].astype(np.float64).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        low, high = boxes[:, :2].copy(), boxes[:, :2] + boxes[:, 2:]
    empty = (boxes[:, 2:] <= 0).any(axis=1)
    beyond = np.maximum(-low, high - sizes).max(axis=1, initial=0.0)
    np.clip(low, 0, sizes, out=low)
    np.clip(high, 0, sizes, out=high)
    gone = (high - low <= 0).any(axis=1)

    def tell(mask: np.ndarray, code: str, message: str, cure: str) -> None:
        for at in np.flatnonzero(kept & mask).tolist():
            row, box = int(dataset.annotation_image[at]), [round(float(n), 3) for n in dataset.boxes[at]]
            where = f"{message} (bbox {box}, image {_size(dataset.image_sizes[row])})"
            problems.append(
                Problem(
                    code=code,
                    file=dataset.document,
                    image_id=int(dataset.image_ids[row]),
                    annotation_id=int(dataset.annotation_ids[at]),
                    message=message if code == "box_missing" else where,
                    cure=cure,
                )
            )

    tell(absent, "box_missing", "the annotation has no bbox", "add its bbox or drop the annotation")
    tell(~absent & ~finite, "box_not_finite", "the box holds NaN or infinity", "correct the box")
    tell(finite & empty, "box_empty", "the box has no area: width or height ≤ 0", "draw it again or drop it")
    outside = finite & ~empty & ((beyond > CLIP) | gone)
    tell(outside, "box_outside", "the box leaves the image by more than 1 px", "correct the box or the image size")
    good = finite & ~empty & ~outside
    boxes[good] = np.concatenate([low, high - low], axis=1)[good]
    crowd = int((dataset.annotation_crowd & (dataset.annotation_class >= 0)).sum())
    if crowd:
        message = f"{crowd} crowd annotations (iscrowd 1) are left out: boxes of crowds teach nothing"
        problems.append(_warn("crowd", dataset, message, "outline the objects one by one to train on them"))
    return dataclasses.replace(dataset, boxes=boxes)


def _classes(dataset: Dataset) -> list[Problem]:
    names = [category.name for category in dataset.classes]
    if not names or not dataset.image_names:
        return []
    counts = np.bincount(dataset.annotation_class[dataset.trained], minlength=len(names))
    if not counts.any():
        message, cure = "no image carries a label of any class", "annotate some images"
        return [Problem(code="nothing_labeled", file=dataset.document, message=message, cure=cure)]
    found = [
        _warn("class_empty", dataset, f"class {name!r} has no annotation", "annotate some, or drop the category")
        for name, count in zip(names, counts.tolist(), strict=True)
        if not count
    ]
    filled = np.flatnonzero(counts)
    most, least = filled[counts[filled].argmax()], filled[counts[filled].argmin()]
    if counts[most] >= IMBALANCE * counts[least]:
        message = f"{counts[most]} annotations of {names[most]!r} against {counts[least]} of {names[least]!r}"
        found.append(_warn("class_imbalance", dataset, message, "collect more of the rare classes"))
    return found


def _warn(code: str, dataset: Dataset, message: str, cure: str, *, image_id: int | None = None) -> Problem:
    return Problem(level="warning", code=code, file=dataset.document, image_id=image_id, message=message, cure=cure)


def _size(size: Sequence[int] | np.ndarray) -> str:
    return f"{size[0]}×{size[1]} px"
