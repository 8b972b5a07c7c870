"""Looks some placed images up on the disk: whether each is the picture of the image whose labels bear its name."""

import filecmp
from collections.abc import Sequence
from pathlib import Path

from steps.convert.check.files import ImageFile
from steps.convert.dataset import Dataset, Ints
from steps.convert.read.listing import folded
from steps.convert.write.proof import ProofFailed

LOOKED_AT = 50  # files of each folder


def spot_images(
    dataset: Dataset,
    files: Sequence[ImageFile],
    rows: Ints,
    names: Sequence[str],
    folder: Path,
    *,
    most: int = LOOKED_AT,
) -> None:
    """Looks at files of a folder, `names` by image row; raises ProofFailed naming the first that is another's."""
    for row in rows[:: max(1, -(-len(rows) // most))].tolist():
        known, placed = files[row], folder / names[row]
        # Folders such as `images` may be left out of an image's name: the file's own name is what has to be its.
        own, named = (folded(name.rpartition("/")[2]) for name in (str(known.key), dataset.image_names[row]))
        if own != named or not _same(Path(str(known.path)), placed):
            raise ProofFailed(f"{folder.name}/{names[row]} is not the picture of image {dataset.image_ids[row]}")


def _same(source: Path, placed: Path) -> bool:
    return source.samefile(placed) or filecmp.cmp(source, placed, shallow=False)
