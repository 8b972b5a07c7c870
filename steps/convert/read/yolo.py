"""Reads YOLO datasets, plain ones and Roboflow's D5: boxes, polygons and keypoints from label files."""

from pathlib import Path

import numpy as np

from steps.convert.check.files import ImageFile, read_images
from steps.convert.dataset import Category, Dataset, Outlines, index_categories
from steps.convert.problems import Problem
from steps.convert.read.layout import Layout
from steps.convert.read.listing import list_files
from steps.convert.read.parts import image_parts
from steps.convert.read.result import Progress, Reading
from steps.convert.read.yolo_files import YoloFiles, logical_names, match_files
from steps.convert.read.yolo_labels import Labels, read_labels
from steps.convert.read.yolo_names import Description, describe, refusal
from steps.convert.read.yolo_tokens import Form
from steps.convert.tasks import READS_KEYPOINTS, READS_OUTLINES
from steps.convert.version import document_content

ORIENTED = frozenset({"obb", "oriented", "oriented_bounding_box", "oriented_object_detection"})


def read_yolo(
    root: Path, layout: Layout, *, task: str | None, everything: bool, contained: bool, progress: Progress | None
) -> Reading:
    """Reads the images that data.yaml lists (or that lie there) with their labels; category ids are YOLO's indices.

    An image without a label file, or with an empty one, is a negative.
    """
    listing = list_files(root, contained=contained)
    description = describe(root, listing)
    _refuse_task(description, task)
    matched = match_files(root, listing, description)
    files = read_images(root, matched.images, image_root="./", contained=contained, progress=progress)
    sizes = image_sizes(files)
    form = Form(
        classes=len(description.names),
        shape=description.shape,
        outlines=everything or task is None or task in READS_OUTLINES,
        keypoints=everything or task is None or task in READS_KEYPOINTS,
    )
    labels = read_labels(root, matched.labels, sizes=sizes, form=form, progress=progress)
    found = [*listing.problems, *description.problems, *matched.problems, *labels.problems]
    found += _oriented(labels, description, task)
    task = task or _guess(description, labels, found)
    meaning = {"names": description.names, "kpt_shape": description.shape, "flip_idx": description.flip_idx}
    if description.point_names:  # which of them change places in a mirrored image
        meaning["kpt_names"] = description.point_names
    return Reading(
        dataset=_dataset(layout, task, description, matched, labels, sizes),
        problems=found,
        contents={description.document: document_content(meaning), **labels.contents},
        files=files,
    )


def image_sizes(files: list[ImageFile]) -> np.ndarray:
    """Gives width and height as shown; 1 × 1 for an image that cannot be read, which is told for itself."""
    return np.array([file.shown if file.width and file.height else (1, 1) for file in files], dtype=np.int64).reshape(
        -1, 2
    )


def _dataset(
    layout: Layout, task: str, description: Description, matched: YoloFiles, labels: Labels, sizes: np.ndarray
) -> Dataset:
    categories = index_categories([*enumerate(description.names)])
    if description.shape:
        points = description.point_names or tuple(f"point_{number}" for number in range(description.shape[0]))
        categories = tuple(Category(c.id, c.name, c.index, keypoints=points) for c in categories)
    index = np.array([-1 if c.index is None else c.index for c in categories], dtype=np.int64)
    rings = np.concatenate([[0], np.cumsum(labels.outlined)]).astype(np.int64)
    outlines = Outlines(points=labels.points, first_point=labels.first_point, first_ring=rings)
    count = len(labels.rows)
    return Dataset(
        layout=layout.id,
        document=description.document,
        task=task,
        categories=categories,
        image_ids=np.arange(1, len(matched.images) + 1, dtype=np.int64),
        image_names=logical_names(matched.images),
        image_sizes=sizes,
        image_labeled=np.ones(len(matched.images), dtype=bool),
        annotation_ids=np.arange(1, count + 1, dtype=np.int64),
        annotation_image=labels.rows,
        annotation_class=index[labels.classes],
        annotation_crowd=np.zeros(count, dtype=bool),
        boxes=labels.boxes,
        outlines=outlines if len(labels.points) else None,
        keypoints=labels.keypoints,
        flip_idx=description.flip_idx,
        image_parts=image_parts(matched.parts),
        image_documents=[label or image for label, image in zip(matched.labels, matched.images, strict=True)],
    )


def _refuse_task(description: Description, task: str | None) -> None:
    if description.task and description.task.lower().replace("-", "_") in ORIENTED:
        raise _obb(f"data.yaml says `task: {description.task}`", description)
    if task == "image_classification":
        message = "its labels are boxes, of which an image may hold many: no class of the whole image"
        cure = "train a detector, or put the images into one folder for each class (ImageFolder)"
        raise refusal("task_unfit", message, cure, description.document)
    if task == "pose_estimation" and not description.shape:
        message, cure = "it has no `kpt_shape`, so its labels hold no keypoints", "add kpt_shape, or train a detector"
        raise refusal("task_unfit", message, cure, description.document)


def _oriented(labels: Labels, description: Description, task: str | None) -> list[Problem]:
    """Recognises oriented boxes: every label is four corners, most of them rectangles, not all along the axes."""
    count = len(labels.rows)
    rectangles = labels.turned + labels.straight
    if not count or labels.corners < count or 2 * rectangles < count or 10 * labels.turned < rectangles:
        return []
    told = f"all {count} labels have four corners, {labels.turned} of them are rectangles that stand askew"
    if task not in READS_OUTLINES:
        raise _obb(told, description)
    message = f"{told}: they look like oriented boxes (OBB) and are read as the polygons they also are"
    cure = "nothing need be done if they are outlines"
    return [Problem(level="warning", code="obb", file=description.document, message=message, cure=cure)]


def _obb(why: str, description: Description) -> Exception:
    message = f"these are oriented boxes (YOLO OBB), which no task here is trained on: {why}"
    cure = "export upright boxes; or say the task instance_segmentation to take the corners as polygons"
    return refusal("obb_unsupported", message, cure, description.document)


def _guess(description: Description, labels: Labels, problems: list[Problem]) -> str:
    if description.shape:
        return "pose_estimation"
    polygons, count = int(labels.outlined.sum()), len(labels.rows)
    if count and polygons == count:
        return "instance_segmentation"
    if polygons:
        message = f"{polygons} labels are polygons and {count - polygons} are boxes: taken as boxes for detection"
        cure = "outline every object to train on outlines, or say which task is meant"
        problems.append(
            Problem(level="warning", code="labels_mixed", file=description.document, message=message, cure=cure)
        )
    return "object_detection"
