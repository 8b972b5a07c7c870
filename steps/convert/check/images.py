"""Judges image files: missing, unreadable, cut off, turned, of another size than declared, or of an unusual kind."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from steps.convert.check.files import ImageFile, in_batches
from steps.convert.check.telling import Findings

SMALLEST_SIDE = 10  # pixels; frameworks leave out smaller images without a word
DECODED = 90_000_000  # pixels of an image that is decoded to see whether it is whole


def tell_images(findings: Findings, files: Sequence[ImageFile]) -> None:
    """Adds what is wrong with each image file."""
    dataset, names = findings.dataset, findings.dataset.image_names
    broken = _mask(file.problem is not None for file in files)
    for row in np.flatnonzero(broken).tolist():
        problem = files[row].problem
        if problem:
            findings.add(problem[0], problem[1], problem[2], row=row)
    stored = np.empty((len(files), 2), dtype=np.int64)
    stored[:, 0] = [file.width for file in files]
    stored[:, 1] = [file.height for file in files]
    orientation = np.fromiter((file.orientation for file in files), dtype=np.int64, count=len(files))
    turned = (orientation != 1) & ~broken
    shown = np.where((orientation >= 5)[:, None], stored[:, ::-1], stored)
    declared = dataset.image_sizes
    known = (declared > 0).all(axis=1)
    differs = known & ~broken & (declared != shown).any(axis=1)
    as_stored = differs & turned & (declared == stored).all(axis=1)

    def size(of: np.ndarray, row: int) -> str:
        return f"{of[row, 0]}×{of[row, 1]} px"

    findings.images(
        as_stored,
        "image_turned",
        lambda row: (
            f"{names[row]} is turned by its EXIF orientation {files[row].orientation} to {size(shown, row)} "
            f"when it is shown, but annotated as {size(declared, row)}"
        ),
        "turn the pixels for good and drop the EXIF tag, or annotate the turned image",
    )
    findings.images(
        differs & ~as_stored,
        "size_mismatch",
        lambda row: f"{names[row]} is {size(shown, row)}, the document says {size(declared, row)}",
        "correct width and height, or put the right file there",
    )
    findings.images(
        turned & ~differs,
        "image_turned",
        lambda row: (
            f"{names[row]} has EXIF orientation {files[row].orientation}; its labels are taken to fit the turned image"
        ),
        "look at a few of its labels",
        level="warning",
    )
    findings.images(
        ~broken & (shown.min(axis=1, initial=SMALLEST_SIDE) < SMALLEST_SIDE),
        "image_small",
        lambda row: f"{names[row]} is only {size(shown, row)}: frameworks ignore sides under {SMALLEST_SIDE} px",
        "leave it out or enlarge it",
        level="warning",
    )
    _tell_kinds(findings, files)
    if otherwise := [row for row, file in enumerate(files) if file.otherwise]:
        row = otherwise[0]
        message = (
            f"{len(otherwise)} images are spelled otherwise than their files, in case or Unicode form (NFC, NFD): "
            f"{names[row]!r} is {files[row].key!r}"
        )
        cure = "nothing need be done: they were matched; give both the same name to be safe"
        findings.add("name_form", message, cure, level="warning")
    _tell_ends(findings, files, _mask(file.cut for file in files) & ~broken)


def _tell_kinds(findings: Findings, files: Sequence[ImageFile]) -> None:
    names = findings.dataset.image_names
    if not any(file.cmyk or file.animated or file.depth > 8 for file in files):
        return
    findings.images(
        _mask(file.cmyk for file in files),
        "image_cmyk",
        lambda row: f"{names[row]} is stored in CMYK, the colours of print: readers disagree on what they become",
        "save it as RGB",
        level="warning",
    )
    findings.images(
        _mask(file.depth > 8 for file in files),
        "image_deep",
        lambda row: (
            f"{names[row]} has {files[row].depth} bits a channel: trainers read 8, and some clip instead of scaling"
        ),
        "save it with 8 bits a channel, scaled as you want it seen",
        level="warning",
    )
    findings.images(
        _mask(file.animated for file in files),
        "image_animated",
        lambda row: f"{names[row]} ({files[row].format}) holds several pictures: readers take the first, or none",
        "save the one picture that was annotated as PNG or JPEG",
    )


def _tell_ends(findings: Findings, files: Sequence[ImageFile], suspects: np.ndarray) -> None:
    """Decodes what does not end as it should: only that tells a cut off picture from one with something behind it."""
    rows, names = np.flatnonzero(suspects).tolist(), findings.dataset.image_names
    whole = [ok for batch in in_batches(_whole, [files[row] for row in rows], size=4) for ok in batch]
    for row, fine in zip(rows, whole, strict=True):
        if fine:
            message = f"{names[row]} lacks its end: the file was cut off or carries extra data"
            findings.add("image_cut", message, "export the image again", level="warning", row=row)
        else:
            message = f"{names[row]} is cut off: a part of its pixels is missing"
            findings.add("image_truncated", message, "replace the file, or drop the image", row=row)


def _whole(file: ImageFile) -> bool:
    if file.width * file.height > DECODED:
        return True
    path = str(file.path)
    if file.format != "JPEG":
        return _decoded(path) is not None
    if _decoded(path) is not None:
        return True
    # Where only the end mark is missing, no pixel depends on what is put behind the data.
    data = Path(path).read_bytes()
    ends = [_decoded(BytesIO(data + filling * 2048 + b"\xff\xd9")) for filling in (b"\x00\x00", b"\x5a\xa3")]
    return ends[0] is not None and ends[0] == ends[1]


def _decoded(source: str | BytesIO) -> bytes | None:
    try:
        with Image.open(source) as image:
            return image.tobytes()
    except Exception:  # decoders fall over broken files in every way there is: all mean that it is not whole
        return None


def _mask(values: object) -> np.ndarray:
    return np.fromiter(values, dtype=bool)  # type: ignore[call-overload]
