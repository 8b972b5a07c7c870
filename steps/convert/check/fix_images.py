"""Repairs what can be repaired about image files and their declared sizes; what cannot is left out of the copy."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from steps.convert.check.files import ImageFile
from steps.convert.check.headers import Unread, Window, exif_orientation
from steps.convert.check.inspection import Inspection
from steps.convert.check.repair import Repair
from steps.convert.check.take import take
from steps.convert.dataset import Bools, Dataset, Floats
from steps.convert.problems import Problem

# Codes of findings that cost an image its place in the copy, and what is said of it.
DROPPED = {
    "image_missing": "left out images whose file does not exist",
    "image_unreadable": "left out images that cannot be read",
    "image_truncated": "left out images that are cut off",
    "image_damaged": "left out images that are damaged",
    "image_huge": "left out images that are too large to be opened",
    "image_animated": "left out images that hold several pictures",
    "path_unsafe": "left out images whose name leads out of the dataset",
}
RESIZED = 0.01  # difference of aspect ratios up to which an image counts as a scaled one


def fix_images(found: Inspection, repair: Repair) -> list[ImageFile]:
    """Corrects sizes and leaves images out; gives the files of the images that stay."""
    dataset = repair.dataset
    files = list(found.files)
    bad = _named(dataset, found.problems)
    stay = np.ones(len(files), dtype=bool)
    for row, file in enumerate(files):
        code = file.problem[0] if file.problem else bad.get(row)
        if code is not None:
            stay[row] = False
            name = dataset.image_names[row]
            repair.did(code, DROPPED.get(code, "left out images with a flaw"), image=repair.image(row), told=name)
    stay &= _sizes(repair, files, stay)
    repair.dataset = take(repair.dataset, images=stay)
    return [file for file, here in zip(files, stay.tolist(), strict=True) if here]


def _named(dataset: Dataset, problems: Sequence[Problem]) -> dict[int, str]:
    keys = dataset.image_keys or dataset.image_ids.tolist()
    row_of = {key: row for row, key in enumerate(keys)}
    return {
        row_of[p.image_id]: p.code
        for p in problems
        if p.code in DROPPED and p.image_id in row_of and p.annotation_id is None and p.level == "error"
    }


def _sizes(repair: Repair, files: Sequence[ImageFile], stay: Bools) -> Bools:
    """Makes the declared sizes those of the files; gives the images of which it is clear what was meant."""
    dataset = repair.dataset
    sizes, boxes = dataset.image_sizes.copy(), dataset.boxes.copy()
    clear = np.ones(len(files), dtype=bool)
    scales = np.ones((len(files), 2))
    shown = np.array([file.shown for file in files], dtype=np.int64).reshape(-1, 2)
    for row in np.flatnonzero(stay & (sizes != shown).any(axis=1)).tolist():
        file, declared = files[row], (int(sizes[row, 0]), int(sizes[row, 1]))
        image, name = repair.image(row), dataset.image_names[row]
        told = f"{name}: {declared[0]}×{declared[1]} to {file.shown[0]}×{file.shown[1]} px"
        if declared == (file.width, file.height):
            if file.format == "JPEG":
                repair.turned.add(name)
                repair.did("image_turned", "reset the EXIF orientation of images annotated as they are stored",
                           image=image, told=name)  # fmt: skip
                continue
            clear[row] = False
        elif min(declared) < 1:
            repair.did("image_size", "took width and height from the image files", image=image, told=told)
        else:
            alike = abs(declared[0] * file.shown[1] / (declared[1] * file.shown[0]) - 1) <= RESIZED
            fits = _fits(dataset, row, file.shown)
            if not alike and fits:
                repair.did("size_mismatch", "took width and height from the image files", image=image, told=told)
            elif alike and not fits and _fits(dataset, row, declared):
                scales[row] = np.array(file.shown) / declared
                repair.did("size_mismatch", "scaled labels that were drawn on a larger image", image=image, told=told)
            else:
                clear[row] = False
        if not clear[row]:
            message = f"{told}: it cannot be told for which of the two its labels were drawn"
            cure = "put the file there that was labeled, or correct width and height; the copy leaves the image out"
            repair.leave("size_mismatch", message, cure, image=image)
        sizes[row] = file.shown
    _scale(repair, scales, sizes, boxes)
    return clear


def _scale(repair: Repair, scales: Floats, sizes: np.ndarray, boxes: Floats) -> None:
    dataset = repair.dataset
    changed = (scales != 1).any(axis=1)
    outlines, keypoints, areas = dataset.outlines, dataset.keypoints, dataset.areas
    if changed.any():
        of = scales[dataset.annotation_image]
        boxes *= np.tile(of, 2)
        if areas is not None:
            areas = areas * of.prod(axis=1)
        if outlines is not None:
            owner = np.repeat(np.arange(len(of)), np.diff(outlines.first_ring))
            points = outlines.points * np.repeat(of[owner], np.diff(outlines.first_point), axis=0)
            outlines = replace(outlines, points=points)
        if keypoints is not None:
            keypoints = keypoints.copy()
            keypoints[:, :, :2] *= of[:, None, :]
    repair.dataset = replace(
        dataset, image_sizes=sizes, boxes=boxes, outlines=outlines, keypoints=keypoints, areas=areas
    )


def _fits(dataset: Dataset, row: int, size: tuple[int, int]) -> bool:
    """Tells whether all boxes of an image lie within a size."""
    boxes = dataset.boxes[dataset.annotation_image == row]
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    return bool((boxes[:, :2] + boxes[:, 2:] <= np.array(size) + 1.0).all())


def reset_orientation(path: Path) -> bool:
    """Sets the EXIF orientation of a JPEG to 1 where it stands, without touching a pixel; tells whether it could."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        place, order = exif_orientation(Window(descriptor, os.fstat(descriptor).st_size))
        if place < 0:
            return False
        os.pwrite(descriptor, (1).to_bytes(2, "little" if order == "<" else "big"), place)
    except Unread:
        return False
    finally:
        os.close(descriptor)
    return True
