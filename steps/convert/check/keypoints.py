"""Judges keypoints: visibility that is none, labeled points outside the image, points where none belong."""

import numpy as np

from steps.convert.check.boxes import CLIP, bounds
from steps.convert.check.telling import Findings
from steps.convert.dataset import Floats
from steps.convert.problems import Level


def tell_keypoints(findings: Findings, *, level: Level = "error", needed: bool = True) -> Floats | None:
    """Adds what is wrong with the keypoints; gives them with what sticks out by a pixel clipped."""
    dataset = findings.dataset
    points = dataset.keypoints
    kept = (dataset.annotation_class >= 0) & ~dataset.annotation_crowd
    if needed:
        _tell_classes(findings, level)
    if points is None or not points.size:
        if needed and kept.any():
            message, cure = "no annotation has keypoints", "add `keypoints`, or choose the task object_detection"
            findings.add("keypoints_none", message, cure, level=level)
        return points
    x, y, v = points[:, :, 0], points[:, :, 1], points[:, :, 2]
    given = ~np.isnan(points).all(axis=2)
    sizes = bounds(dataset)
    with np.errstate(invalid="ignore"):
        broken = given & ~(np.isfinite(points).all(axis=2))
        unknown = given & ~broken & (v != 0) & (v != 1) & (v != 2)
        labeled = given & ~broken & (v > 0)
        beyond = np.maximum(np.maximum(-x, x - sizes[:, :1]), np.maximum(-y, y - sizes[:, 1:]))
        outside = labeled & (beyond > CLIP)
        over = labeled & (beyond > 0) & (beyond <= CLIP)

    def which(mask: np.ndarray) -> "_Which":
        return _Which(findings, mask)

    told = findings.annotations
    cure = "correct the point"
    told(kept & broken.any(axis=1), "keypoint_not_finite", which(broken), cure, level=level)
    cure = "write 0 (unlabeled), 1 (hidden) or 2 (visible)"
    told(kept & unknown.any(axis=1), "keypoint_visibility", which(unknown), cure, level=level)
    cure = "correct the point, or give it the visibility 0"
    told(kept & outside.any(axis=1), "keypoint_outside", which(outside), cure, level=level)
    if needed:
        none = int((kept & ~labeled.any(axis=1)).sum())
        if none == int(kept.sum()) and none:
            message, cure = "no keypoint of any annotation is labeled", "label some points"
            findings.add("keypoints_none", message, cure, level=level)
        elif none:
            message = f"{none} of {int(kept.sum())} annotations have no labeled keypoint: they teach their box alone"
            findings.add("keypoints_unlabeled", message, "label points, where there are any to see", level="warning")
    if over.any():
        points = points.copy()
        limits = np.broadcast_to(sizes[:, None, :], (*over.shape, 2))
        points[:, :, :2][over] = np.clip(points[:, :, :2][over], 0, limits[over])
    return points


def _tell_classes(findings: Findings, level: Level) -> None:
    dataset = findings.dataset
    points = dataset.keypoints
    unnamed = [c.name for c in dataset.classes if not c.keypoints]
    if unnamed and points is not None and points.size:
        names = ", ".join(map(repr, unnamed[:5]))
        message = f"the keypoints of {names} have no names, so that left and right cannot be told apart"
        findings.add("keypoints_unnamed", message, "list `keypoints` in the category", level="warning")


class _Which:
    """A message that names the first keypoint with a flaw."""

    def __init__(self, findings: Findings, mask: np.ndarray) -> None:
        self.dataset, self.mask = findings.dataset, mask

    def __call__(self, at: int) -> str:
        assert self.dataset.keypoints is not None
        number = int(self.mask[at].argmax())
        index = int(self.dataset.annotation_class[at])
        names = self.dataset.classes[index].keypoints if index >= 0 else ()
        name = f" ({names[number]})" if number < len(names) else ""
        x, y, v = (f"{value:g}" for value in self.dataset.keypoints[at, number].tolist())
        width, height = self.dataset.image_sizes[self.dataset.annotation_image[at]].tolist()
        more = int(self.mask[at].sum()) - 1
        rest = f", and {more} more" if more else ""
        return f"keypoint {number + 1}{name} is x {x}, y {y}, v {v} in an image of {width}×{height} px{rest}"
