"""Judges boxes: without area, outside the image, of no number, tiny, given twice."""

from dataclasses import dataclass

import numpy as np

from steps.convert.check.oddities import tell_odd_sizes
from steps.convert.check.repeats import identical, overlapping
from steps.convert.check.telling import Findings
from steps.convert.dataset import Bools, Dataset, Floats
from steps.convert.problems import Level

CLIP = 1.0  # pixels by which a shape may stick out: rounding of the tools that drew it
TINY = 2.0  # pixels: trainers drop boxes with a side below that after their augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFlaws:
    """What is wrong with each box (masks over all annotations), and the boxes clipped to their images."""

    absent: Bools
    not_finite: Bools
    empty: Bools
    outside: Bools  # by more than CLIP, or wholly
    gone: Bools  # wholly outside: nothing is left after clipping
    clipped: Floats

    @property
    def good(self) -> Bools:
        """Marks the boxes with nothing wrong."""
        return ~(self.absent | self.not_finite | self.empty | self.outside)


def judge_boxes(dataset: Dataset) -> BoxFlaws:
    """Finds the flaws of all boxes; images of unknown size (0) are no bounds."""
    boxes = dataset.boxes
    sizes = bounds(dataset)
    absent = np.isnan(boxes).all(axis=1)
    finite = np.isfinite(boxes).all(axis=1)
    with np.errstate(invalid="ignore"):
        low, high = boxes[:, :2].copy(), boxes[:, :2] + boxes[:, 2:]
        empty = finite & (boxes[:, 2:] <= 0).any(axis=1)
        beyond = np.maximum(-low, high - sizes).max(axis=1, initial=0.0)
        np.clip(low, 0, sizes, out=low)
        np.clip(high, 0, sizes, out=high)
        gone = finite & ~empty & (high - low <= 0).any(axis=1)
    return BoxFlaws(
        absent=absent,
        not_finite=~absent & ~finite,
        empty=empty,
        outside=finite & ~empty & ((beyond > CLIP) | gone),
        gone=gone,
        clipped=np.concatenate([low, high - low], axis=1),
    )


def bounds(dataset: Dataset) -> Floats:
    """Gives width and height of each annotation's image; infinity where they are not known."""
    sizes = dataset.image_sizes.astype(np.float64)
    sizes[sizes < 1] = np.inf
    return sizes[dataset.annotation_image].reshape(-1, 2)


def tell_boxes(findings: Findings, *, level: Level = "error") -> Floats:
    """Adds what is wrong with the boxes; gives the boxes, the good ones clipped to their images."""
    dataset = findings.dataset
    flaws = judge_boxes(dataset)
    kept = (dataset.annotation_class >= 0) & ~dataset.annotation_crowd

    def where(message: str) -> "_Where":
        return _Where(dataset, message)

    told = findings.annotations
    told(
        kept & flaws.absent,
        "box_missing",
        "the annotation has no bbox",
        "add its bbox or drop the annotation",
        level=level,
    )
    told(
        kept & flaws.not_finite,
        "box_not_finite",
        where("the box holds NaN or infinity"),
        "correct the box",
        level=level,
    )
    message, cure = "the box has no area: width or height ≤ 0", "draw it again or drop it"
    told(kept & flaws.empty, "box_empty", where(message), cure, level=level)
    message, cure = "the box leaves the image by more than 1 px", "correct the box or the image size"
    told(kept & flaws.outside, "box_outside", where(message), cure, level=level)
    tiny = kept & flaws.good & (flaws.clipped[:, 2:] < TINY).any(axis=1)
    message, cure = f"the box is tiny: a side under {TINY:g} px", "look at it; trainers leave such boxes out"
    told(tiny, "box_tiny", where(message), cure, level="warning")
    sound = kept & flaws.good
    _tell_overlaps(findings, flaws.clipped, sound)
    if dataset.task == "object_detection":
        tell_odd_sizes(findings, flaws.clipped, sound)
    return np.where(flaws.good[:, None], flaws.clipped, dataset.boxes)


def _tell_overlaps(findings: Findings, boxes: Floats, among: Bools) -> None:
    dataset = findings.dataset
    first, second, shares = overlapping(dataset, boxes, among)
    twin = {b: (a, share) for a, b, share in zip(first.tolist(), second.tolist(), shares.tolist(), strict=True)}
    same, near = np.zeros(len(boxes), dtype=bool), np.zeros(len(boxes), dtype=bool)
    for at, (other, _) in twin.items():
        (same if identical(dataset, other, at) else near)[at] = True

    def say(at: int) -> str:
        other, share = twin[at]
        name = dataset.classes[int(dataset.annotation_class[at])].name
        box = [round(number, 1) for number in boxes[at].tolist()]
        return f"{name} drawn twice: bbox {box} overlaps annotation {dataset.annotation_ids[other]} by {share:.0%}"

    cure = "drop one of the two"
    findings.annotations(same, "annotation_repeated", say, cure, level="warning")
    findings.annotations(near, "box_repeated", say, f"{cure}, if they are one object", level="warning")


class _Where:
    """A message with the box and the image size behind it."""

    def __init__(self, dataset: Dataset, message: str) -> None:
        self.dataset, self.message = dataset, message

    def __call__(self, at: int) -> str:
        box = [round(float(number), 3) for number in self.dataset.boxes[at]]
        width, height = self.dataset.image_sizes[self.dataset.annotation_image[at]].tolist()
        return f"{self.message} (bbox {box}, image {width}×{height} px)"
