"""Judges the mask files of semantic segmentation: there, readable, of the image's size, with known values."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from steps.convert.check.files import ImageFile, Progress, in_batches, read_images
from steps.convert.check.telling import Findings
from steps.convert.dataset import Dataset

IGNORE = 255  # the value of pixels that count for nothing
NO_MODE = frozenset({"RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "F", "LA", "PA"})


def tell_masks(
    findings: Findings, root: Path, images: list[ImageFile], *, contained: bool, progress: Progress | None = None
) -> None:
    """Adds what is wrong with the mask files; every one is decoded, for only its pixels tell what it holds."""
    dataset = findings.dataset
    if dataset.image_masks is None:
        return
    rows = [row for row, name in enumerate(dataset.image_masks) if name and dataset.image_labeled[row]]
    missing = np.array([not name for name in dataset.image_masks], dtype=bool) & dataset.image_labeled
    has_labels = np.zeros(len(missing), dtype=bool)
    has_labels[dataset.annotation_image[dataset.annotation_class >= 0]] = True
    cure = "name its mask_file, or mark it as unlabeled"
    findings.images(missing & ~has_labels, "mask_missing", lambda row: "the image has no mask", cure, level="warning")
    names = [str(dataset.image_masks[row]) for row in rows]
    files = read_images(root, names, image_root=dataset.image_root, contained=contained)
    allowed = np.zeros(256, dtype=bool)
    allowed[[c.id for c in dataset.categories if 0 <= c.id < 256] + [IGNORE]] = True
    at = 0
    for batch in in_batches(lambda file: _flaw(file, allowed), files, size=8):
        for flaw in batch:
            row, file = rows[at], files[at]
            flaw = flaw or _misfit(file, images[row])
            if flaw:
                findings.add(flaw[0], f"{names[at]}: {flaw[1]}", flaw[2], row=row)
            at += 1
        if progress:
            progress("masks", at, len(files))


def _misfit(mask: ImageFile, image: ImageFile) -> tuple[str, str, str] | None:
    if not image.width or (mask.width, mask.height) == image.shown:
        return None
    message = f"the mask is {mask.width}×{mask.height} px, its image {image.shown[0]}×{image.shown[1]} px"
    return "mask_size", message, "export the mask again in the image's size"


def _flaw(file: ImageFile, allowed: np.ndarray) -> tuple[str, str, str] | None:
    if file.problem:
        code, message, cure = file.problem
        return code.replace("image_", "mask_"), message, cure
    try:
        with Image.open(str(file.path)) as mask:
            if mask.mode in NO_MODE:
                message = f"the mask has {mask.mode} pixels, where each pixel is to be one class id"
                return "mask_format", message, "export it as an indexed or grey PNG of 8 bits"
            values = np.unique(np.asarray(mask).astype(np.int64))
    except Exception as error:  # decoders fall over broken files in every way there is
        return "mask_unreadable", f"the mask cannot be decoded: {error}", "export it again"
    strange = values[(values < 0) | (values > 255) | ~allowed[values.clip(0, 255)]].tolist()
    if strange:
        few = ", ".join(map(str, strange[:8]))
        message = f"the mask holds the values {few}, which are no class id and not {IGNORE} (ignored)"
        return "mask_value", message, "add the classes, or paint these pixels as one that exists"
    return None


def mask_path(root: Path, dataset: Dataset, row: int) -> str | None:
    """Gives where an image's mask file lies, None where it has none."""
    name = dataset.image_masks[row] if dataset.image_masks else None
    if not name:
        return None
    (file,) = read_images(root, [name], image_root=dataset.image_root, contained=False)
    return file.path if file.path and os.path.isfile(file.path) else None
