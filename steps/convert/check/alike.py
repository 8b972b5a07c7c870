"""Finds pictures that look almost the same on both sides of a split, though their files differ: leakage as well."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from steps.convert.check.files import ImageFile, Progress, in_batches
from steps.convert.check.telling import Findings
from steps.convert.dataset import Dataset
from steps.convert.split.resolve import Split

MOST = 5_000  # images up to which every one is looked at: each has to be decoded
GRID = (32, 24)  # grey values of a picture that are compared
ALIKE = 0.97  # correlation from which two pictures are told
PLAIN = 4.0  # spread of the grey values below which a picture shows too little to be compared
COMMON = 0.05  # share of images with a twin from which it is the scene that is alike


def tell_alike(
    findings: Findings, files: Sequence[ImageFile], split: Split, *, progress: Progress | None = None
) -> None:
    """Adds a warning for each image of val or test that looks like one of train, or val; for few images only."""
    dataset = findings.dataset
    if len(files) > MOST or not (split.train and (split.val or split.test)):
        return
    part_of = {id_: part for part, ids in split.parts().items() for id_ in ids}
    rows = [row for row, id_ in enumerate(dataset.image_ids.tolist()) if id_ in part_of and not files[row].problem]
    looks: list[np.ndarray | None] = []
    for batch in in_batches(_look, [files[row] for row in rows], size=8):
        looks += batch
        if progress:
            progress("pictures", len(looks), len(rows))
    seen = [(row, look) for row, look in zip(rows, looks, strict=True) if look is not None]
    if not seen:
        return
    table = np.stack([look for _, look in seen])
    parts = np.array([("train", "val", "test").index(part_of[int(dataset.image_ids[row])]) for row, _ in seen])
    digests = np.array([files[row].digest for row, _ in seen])
    pairs = []
    for at in np.flatnonzero(parts > 0).tolist():
        # The same bytes are told elsewhere; here it is about pictures that were saved, cut or taken again.
        others = np.flatnonzero((parts < parts[at]) & (digests != digests[at]))
        shares = table[others] @ table[at]
        if len(others) and shares.max() >= ALIKE:
            pairs.append((seen[at][0], seen[int(others[shares.argmax()])][0], float(shares.max())))
    _tell(findings, dataset, part_of, pairs, int((parts > 0).sum()))


def _tell(
    findings: Findings, dataset: Dataset, part_of: dict[int, str], pairs: list[tuple[int, int, float]], count: int
) -> None:
    names = dataset.image_names
    code, cure = "alike_across_splits", "put pictures of one scene into one part (group_by)"
    if len(pairs) > max(5, COMMON * count):
        row, other, _ = pairs[0]
        message = (
            f"{len(pairs)} of {count} images outside train look almost like one of another part, such as {names[row]} "
            f"and {names[other]}: one camera and scene, or frames of one film"
        )
        findings.add(code, message, cure, level="warning", row=row)
        return
    for row, other, share in pairs:
        here, there = (part_of[int(dataset.image_ids[at])] for at in (row, other))
        message = f"{names[row]} ({here}) looks almost like {names[other]} ({there}): {share:.1%} alike"
        findings.add(code, message, cure, level="warning", row=row)


def _look(file: ImageFile) -> np.ndarray | None:
    """Gives a picture as a few grey values of mean 0 and length 1, None where it shows too little."""
    try:
        with Image.open(Path(str(file.path))) as image:
            image.draft("L", (GRID[0] * 4, GRID[1] * 4))
            values = np.asarray(image.convert("L").resize(GRID, Image.Resampling.BOX), dtype=np.float32).ravel()
    except Exception:  # what cannot be decoded is told elsewhere
        return None
    if values.std() < PLAIN:
        return None
    values -= values.mean()
    return values / np.linalg.norm(values)
