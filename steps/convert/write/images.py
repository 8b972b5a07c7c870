"""Puts a part's images under their flat names into a folder of the target."""

import os
from collections.abc import Sequence
from pathlib import Path

from steps.convert.check.files import ImageFile, Progress
from steps.convert.dataset import Dataset, Ints
from steps.convert.write.flat_names import flat_names
from steps.convert.write.link import Linker, own_folder

TOLD = 1024  # images between two lines of progress


def target_names(dataset: Dataset, files: Sequence[ImageFile]) -> list[str]:
    """Gives each image row's flat name; without files the names' own suffixes are trusted."""
    formats = [file.format for file in files] if files else [""] * len(dataset.image_names)
    return flat_names(dataset.image_names, formats, dataset.image_ids.tolist())


def place_images(
    folder: Path,
    rows: Ints,
    names: Sequence[str],
    files: Sequence[ImageFile],
    linker: Linker,
    *,
    progress: Progress | None = None,
) -> None:
    """Links or copies the images of some rows; never re-encoded, never written through a link."""
    start = own_folder(folder)
    if progress and len(rows):
        progress(f"images {os.path.basename(folder)}", 0, len(rows))
    for number, row in enumerate(rows.tolist(), 1):
        file = files[row]
        # Some trainers "repair" a JPEG without its end by writing it anew: give them a copy to write to.
        linker.link(str(file.path), start + names[row], copy=file.cut)
        if progress and (number % TOLD == 0 or number == len(rows)):
            progress(f"images {os.path.basename(folder)}", number, len(rows))
