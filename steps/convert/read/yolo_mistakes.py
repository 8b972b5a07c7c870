"""Says of each bad line of a YOLO label file what is wrong with it."""

import re

import numpy as np

from steps.convert.dataset import Ints
from steps.convert.read.yolo_tokens import Form, Lines

SHOWN = 20  # bad lines of one file that are told one by one
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)

Bad = tuple[int, str, str, str]  # line, code, message, cure


def find_bad(lines: Lines, sizes: Ints, form: Form) -> dict[int, tuple[str, str, str]]:
    """Gives what is wrong by line, the gravest thing of each."""
    bad: dict[int, tuple[str, str, str]] = {}
    numbers, first, width = lines.numbers, lines.first, lines.width
    right = width == 5
    right |= (width >= 7) & (width % 2 == 1) if form.pose_width is None else width == form.pose_width
    if form.pose_width is not None and form.keypoints:
        right &= width == form.pose_width
    for at in np.flatnonzero(~right).tolist():
        bad[at] = _wrong_width(int(width[at]), form)
    ends = first + width
    odd = np.flatnonzero(~np.isfinite(numbers))
    for at in np.searchsorted(ends, odd, side="right").tolist():
        bad.setdefault(at, ("box_not_finite", "it holds NaN or infinity", "correct the numbers"))
    classes = numbers[first]
    with np.errstate(invalid="ignore"):
        wrong = (classes != np.floor(classes)) | (classes < 0) | (classes >= form.classes)
    for at in np.flatnonzero(wrong).tolist():
        known = f"one of the {form.classes} classes, 0 to {form.classes - 1}"
        message = f"class {classes[at]:g} is not {known}"
        bad.setdefault(at, ("category_unknown", message, "correct the class index, or name the class"))
    for at, value in _outside(lines, sizes, form):
        message = f"{value:g} is no share of the image's width or height between 0 and 1"
        bad.setdefault(at, ("label_not_normalised", message, "divide pixels by the image's width and height"))
    if form.shape and form.shape[1] == 3 and form.keypoints:
        places = np.flatnonzero(width == form.pose_width)
        flags = numbers[first[places][:, None] + np.arange(7, form.pose_width or 0, 3)]
        odd_flags = ~np.isin(flags, (0, 1, 2))
        some = odd_flags.any(axis=1)
        for at, column in zip(places[some].tolist(), odd_flags[some].argmax(axis=1).tolist(), strict=True):
            message = f"keypoint {column + 1} has a visibility that is not 0, 1 or 2"
            bad.setdefault(at, ("keypoint_visibility", message, "write 0 unlabeled, 1 hidden, 2 visible"))
    return bad


def without_bad_lines(text: bytes) -> tuple[bytes, list[Bad]]:
    """Gives a file's text with its unreadable lines emptied, and what is wrong with these."""
    cure = "write numbers separated by spaces, or export the labels again"
    if b"\0" in text:
        return b"\n", [(1, "label_malformed", "it is no plain text (UTF-16, or binary)", "save it as UTF-8")]
    kept, bad = [], list[Bad]()
    for number, line in enumerate(text.split(b"\n"), 1):
        odd = next((word for word in line.split() if not NUMBER.fullmatch(word)), None)
        if odd is not None or not line.isascii():
            shown = (odd or line)[:30].decode("utf-8", "backslashreplace")
            bad.append((number, "label_malformed", f"{shown!r} is no number", cure))
            line = b""
        # Other white space than what numbers are told apart by here.
        kept.append(b" ".join(line.split()))
    if len(bad) > SHOWN:
        last = bad[SHOWN]
        bad[SHOWN:] = [(last[0], "label_malformed", f"and {len(bad) - SHOWN} more lines are unreadable", cure)]
    return b"\n".join(kept) + b"\n", bad


def _wrong_width(width: int, form: Form) -> tuple[str, str, str]:
    message = f"{width} numbers"
    if form.pose_width is not None:
        count, each = form.shape or (0, 0)
        message += f" where kpt_shape [{count}, {each}] makes it {form.pose_width}"
        return "label_malformed", message, "write class, box and all keypoints, or correct kpt_shape"
    cure = "write class, center x, center y, width, height; or class and three points or more"
    if width == 6:
        message += ": a class, a box and one more, such as the confidence of a prediction"
    elif width == 1:
        message += ": a class alone, as for whole images"
        cure = "put the images into one folder for each class (ImageFolder)"
    elif width > 6:
        message += ": a polygon lacks a coordinate, or keypoints lack `kpt_shape` in data.yaml"
    return "label_malformed", message, cure


def _outside(lines: Lines, sizes: Ints, form: Form) -> list[tuple[int, float]]:
    """Finds numbers that lie off the image by more than a pixel; box edges are looked at later, as boxes."""
    numbers, ends = lines.numbers, lines.first + lines.width
    with np.errstate(invalid="ignore"):
        places = np.flatnonzero((numbers > 1) | (numbers < 0))
    at = np.searchsorted(ends, places, side="right")
    column = places - lines.first[at]
    keep = column > 0
    places, at, column = places[keep], at[keep], column[keep]
    axis = 1 - column % 2
    if form.pose_width is not None:
        each = form.shape[1] if form.shape else 2
        point, part = np.divmod(column - 5, each)
        of_point = (column >= 5) & (lines.width[at] == form.pose_width)
        axis = np.where(of_point, part, axis)
        flag = np.where(of_point & (each == 3), lines.first[at] + 5 + point * each + 2, 0)
        hidden = of_point & ((numbers[flag] == 0) if each == 3 else (numbers[places] < 0))
        keep = ~hidden & ~(of_point & (part == 2)) & (form.keypoints | ~of_point)
        places, at, axis = places[keep], at[keep], axis[keep]
    slack = 1 / np.maximum(sizes[lines.file[at], axis], 1)
    values = numbers[places]
    far = (values > 1 + slack) | (values < -slack)
    return list(zip(at[far].tolist(), values[far].tolist(), strict=True))
