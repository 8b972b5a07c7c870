"""Finds the image files of a dataset and reads their headers and digests."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from PIL import Image, UnidentifiedImageError

ORIENTATION = 0x0112  # the EXIF tag
TURNED = frozenset({5, 6, 7, 8})  # orientations that swap width and height


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """What is known of one image file; `problem` says why the rest is not."""

    path: str | None = None
    key: str | None = None
    size: int = 0
    digest: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    cut: bool = False
    problem: tuple[str, str, str] | None = None  # code, message, cure


def unsafe_name(name: str) -> str | None:
    """Says why a file name must not be joined to a folder, None where it may."""
    if "\\" in name:
        return "it holds a backslash"
    if any(ord(character) < 32 for character in name):
        return "it holds a control character"
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive:
        return "it is absolute"
    if ".." in PurePosixPath(name).parts:
        return "it climbs with `..`"
    return None if PurePosixPath(name).parts else "it is empty"


def image_folders(root: Path, image_root: str | None) -> list[str]:
    """Lists the folders below `root` where images may lie, the likeliest first; each ends in `/` or is empty."""
    folders = []
    if image_root and not unsafe_name(image_root):
        parts = PurePosixPath(image_root).parts
        # An object key prefix such as datasets/{id}/images/ is found again by its tail.
        folders = ["/".join(parts[start:]) + "/" for start in range(len(parts))]
    return [folder for folder in dict.fromkeys([*folders, "images/", ""]) if not folder or (root / folder).is_dir()]


def read_images(root: Path, names: Sequence[str], *, image_root: str | None, contained: bool) -> list[ImageFile]:
    """Reads header and digest of each named image; `contained` refuses links that leave the dataset."""
    folders, home = image_folders(root, image_root), os.path.realpath(root)
    # A root that is itself a link is left as one, so that link_file sees whose files these are.
    start = os.path.join(os.path.realpath(root.absolute().parent), root.absolute().name)

    def read(name: str) -> ImageFile:
        reason = unsafe_name(name)
        if reason:
            cure = "use a relative name with forward slashes"
            return ImageFile(problem=("path_unsafe", f"file_name {name!r} is refused: {reason}", cure))
        for folder in folders:
            path = os.path.join(start, folder + name)
            if os.path.isfile(path):
                real = os.path.realpath(path)
                if contained and not real.startswith(home + os.sep):
                    message = f"{folder}{name} is a link that leaves the dataset"
                    return ImageFile(problem=("path_unsafe", message, "put the file itself there"))
                return _read(path, key=folder + name)
        tried = " or ".join(folder + name for folder in folders[:3])
        return ImageFile(problem=("image_missing", f"{tried} does not exist", "add the file or drop the image"))

    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) * 2)) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return list(pool.map(read, names))


def _read(path: str, *, key: str) -> ImageFile:
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(max(0, size - 64))
            tail = file.read()
            file.seek(0)
            with Image.open(file) as image:
                width, height, kind = image.width, image.height, image.format or ""
                orientation = _orientation(image)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        reason = "it is empty" if os.path.getsize(path) == 0 else _reason(error)
        return ImageFile(
            path=path,
            key=key,
            problem=("image_unreadable", f"{key} is no readable image: {reason}", "replace the file"),
        )
    cut = (kind == "JPEG" and not tail.endswith(b"\xff\xd9")) or (kind == "PNG" and b"IEND" not in tail)
    return ImageFile(
        path=path, key=key, size=size, digest=digest, format=kind, width=width, height=height,
        orientation=orientation, cut=cut,
    )  # fmt: skip


def _orientation(image: Image.Image) -> int:
    # Only JPEG, MPO, TIFF and WebP are turned by the readers of the frameworks.
    if image.format not in {"JPEG", "MPO", "TIFF", "WEBP"}:
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "unknown image format"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
