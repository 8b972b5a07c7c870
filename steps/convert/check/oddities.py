"""Finds what looks wrong only beside the rest: a box of quite another size than its class, an image with few labels."""

import numpy as np

from steps.convert.check.telling import Findings
from steps.convert.dataset import Bools, Dataset, Floats

ODD = 5.0  # times larger or smaller than the class's median area
ENOUGH = 20  # boxes of a class from which its median means something
EVEN = 0.4  # median of |log(area / median area)| up to which a class counts as of one size
FEW, MANY = 0.2, 10  # share of the usual number of labels that is few, where at least MANY are usual


def odd_sizes(dataset: Dataset, boxes: Floats, among: Bools) -> tuple[Bools, Floats]:
    """Marks boxes far larger or smaller than their class, where a class has one size; gives the medians by class."""
    odd = np.zeros(len(boxes), dtype=bool)
    medians = np.full(len(dataset.classes), np.nan)
    rows = np.flatnonzero(among)
    classes = dataset.annotation_class[rows]
    logs = np.log(boxes[rows, 2] * boxes[rows, 3])
    order = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[order], np.arange(len(dataset.classes) + 1))
    for index in np.flatnonzero(np.diff(ends) >= ENOUGH).tolist():
        own = order[ends[index] : ends[index + 1]]
        middle = np.median(logs[own])
        away = np.abs(logs[own] - middle)
        if np.median(away) < EVEN:
            medians[index] = np.exp(middle)
            odd[rows[own[away >= np.log(ODD)]]] = True
    return odd, medians


def tell_odd_sizes(findings: Findings, boxes: Floats, among: Bools) -> None:
    """Adds a warning for each box whose size is another class's."""
    dataset = findings.dataset
    odd, medians = odd_sizes(dataset, boxes, among)

    def say(at: int) -> str:
        index = int(dataset.annotation_class[at])
        width, height = boxes[at, 2:].tolist()
        times = width * height / medians[index]
        how = f"{times:.1f} times" if times >= 1 else f"1/{1 / times:.1f} of"
        name, side = dataset.classes[index].name, float(np.sqrt(medians[index]))
        return (
            f"{name} of {width:g}×{height:g} px has {how} the usual area "
            f"(boxes of {name} are about {side:.0f}×{side:.0f} px)"
        )

    cure = "look at it: it may be of another class, or two drawn as one"
    findings.annotations(odd, "box_size_odd", say, cure, level="warning")


def tell_few_labels(findings: Findings) -> None:
    """Adds a warning for each image with far fewer labels than the others: some may be missing."""
    dataset = findings.dataset
    counts = np.bincount(dataset.annotation_image[dataset.trained], minlength=len(dataset.image_names))
    labeled = counts[counts > 0]
    if len(labeled) < ENOUGH:
        return
    usual, spread = np.median(labeled), np.quantile(labeled, 0.1)
    # Where many images have few labels, few are nothing to wonder at.
    if usual < MANY or spread <= FEW * usual:
        return

    def say(row: int) -> str:
        has = "1 label" if counts[row] == 1 else f"{counts[row]} labels"
        return f"{dataset.image_names[row]} has {has}, the others about {usual:.0f}"

    findings.images(
        (counts > 0) & (counts <= FEW * usual),
        "labels_few",
        say,
        "look whether some are missing: what is not labeled is learnt as background",
        level="warning",
    )
