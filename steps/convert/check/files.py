"""Finds the image files of a dataset and reads their headers, thousands in a second."""

import os
import stat
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from steps.convert.check.headers import Header, Unread, Window, read_header
from steps.convert.check.png_parts import damage_of_png
from steps.convert.read.listing import LONGEST, Lookup, folded, list_files

ORIENTATION = 0x0112  # the EXIF tag
TURNED = frozenset({5, 6, 7, 8})  # orientations that swap width and height
LARGEST = 2 * 89_478_485  # pixels: beyond this Pillow takes an image for an attack and opens it no more
BATCH = 64  # files to one task of a thread
THREADS = 4  # reading waits for the disk, not for the processor
DEEP = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})  # modes of more than 8 bits a channel

Progress = Callable[[str, int, int], None]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """What is known of one image file; `problem` says why the rest is not."""

    path: str | None = None
    key: str | None = None
    size: int = 0
    mtime_ns: int = 0
    digest: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    depth: int = 8
    cmyk: bool = False
    animated: bool = False
    cut: bool = False
    otherwise: bool = False  # its name is spelled otherwise on the disk, in case or Unicode form
    problem: tuple[str, str, str] | None = None  # code, message, cure

    @property
    def shown(self) -> tuple[int, int]:
        """Gives width and height as the image is shown: turned by its EXIF orientation."""
        return (self.height, self.width) if self.orientation in TURNED else (self.width, self.height)


def unsafe_name(name: str) -> str | None:
    """Says why a file name must not be joined to a folder, None where it may."""
    if "\\" in name:
        return "it holds a backslash"
    if not name.isprintable() and any(ord(character) < 32 for character in name):
        return "it holds a control character"
    if name.startswith("/") or (":" in name and PureWindowsPath(name).drive):
        return "it is absolute"
    if ".." in name and ".." in PurePosixPath(name).parts:
        return "it climbs with `..`"
    if len(name) > LONGEST // 4 and len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    return None if name.strip("./") or PurePosixPath(name).parts else "it is empty"


def image_folders(root: Path, image_root: str | None) -> list[str]:
    """Lists the folders below `root` where images may lie, the likeliest first; each ends in `/` or is empty.

    The image root `./` says that names are exact: they start at the dataset itself.
    """
    if image_root == "./":
        return [""]
    folders = []
    if image_root and not unsafe_name(image_root):
        parts = PurePosixPath(image_root).parts
        # An object key prefix such as datasets/{id}/images/ is found again by its tail.
        folders = ["/".join(parts[start:]) + "/" for start in range(len(parts))]
    likely = dict.fromkeys([*folders, "images/", "JPEGImages/", ""])
    return [folder for folder in likely if not folder or os.path.isdir(os.path.join(root, folder))]


def read_images(
    root: Path, names: Sequence[str], *, image_root: str | None, contained: bool, progress: Progress | None = None
) -> list[ImageFile]:
    """Reads the header of each named image; `contained` refuses links that leave the dataset."""
    finder = _Finder(root, image_folders(root, image_root), names, contained=contained)
    files: list[ImageFile] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a decoder mumbles about an image is told by name instead
        for batch in in_batches(finder.read, names):
            files += batch
            if progress:
                progress("headers", len(files), len(names))
    return files


def tell_bytes(progress: Progress, phase: str, done: int, total: int, *, moved: int) -> None:
    """Tells progress, with the bytes that were read or written, to those who count them (they have `moved`)."""
    count = getattr(progress, "moved", None)
    if count is not None:
        count(phase, moved)
    progress(phase, done, total)


def in_batches(work: Callable[[T], R], items: Sequence[T], *, size: int = BATCH) -> Iterator[list[R]]:
    """Works items off in a few threads, in their order; stopping leaves nothing running."""

    def run(start: int) -> list[R]:
        return [work(item) for item in items[start : start + size]]

    pool = ThreadPoolExecutor(THREADS)
    try:
        yield from pool.map(run, range(0, len(items), size))
    finally:
        pool.shutdown(cancel_futures=True)


class _Finder:
    def __init__(self, root: Path, folders: list[str], names: Sequence[str], *, contained: bool) -> None:
        self.folders, self.contained, self.home = folders, contained, os.path.realpath(root)
        self.names = names
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._lookup: Lookup | None = None
        # A root that is itself a link is left as one, so that link_file sees whose files these are.
        self.start = os.path.join(os.path.realpath(root.absolute().parent), root.absolute().name)
        self._inside: dict[str, bool] = {}

    def read(self, name: str) -> ImageFile:
        if reason := unsafe_name(name):
            cure = "use a relative name with forward slashes"
            return ImageFile(problem=("path_unsafe", f"file_name {_short(name)} is refused: {reason}", cure))
        return self._first([folder + name for folder in self.folders]) or self._otherwise(name) or self._missing(name)

    def _first(self, places: Sequence[str]) -> ImageFile | None:
        """Reads the first file that stands at one of the places, None where none does."""
        for place in places:
            path = f"{self.start}/{place}"
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, ValueError) as error:
                what = getattr(error, "strerror", None) or str(error)
                message = f"{_short(place)} cannot be opened: {what}"
                return ImageFile(problem=("image_unreadable", message, "rename it, or let it be read"))
            try:
                if self.contained and not self._contained(path):
                    message = f"{place} is a link that leaves the dataset"
                    return ImageFile(problem=("path_unsafe", message, "put the file itself there"))
                return _read(descriptor, path, key=place)
            finally:
                os.close(descriptor)
        return None

    def _otherwise(self, name: str) -> ImageFile | None:
        """Reads the only file whose name differs in case or Unicode form alone, as in archives made on macOS."""
        with self._lock:
            if self._lookup is None:
                self._lookup = Lookup(list_files(Path(self.home), contained=self.contained).names)
                self._asked = Counter(map(folded, set(self.names)))
            # Where several entries differ in that alone, it cannot be known whose file it is.
            places = map(self._lookup.find, [folder + name for folder in self.folders])
            own = next(filter(None, places), None) if self._asked[folded(name)] == 1 else None
        found = self._first([own]) if own else None
        return found and replace(found, otherwise=True)

    def _missing(self, name: str) -> ImageFile:
        tried = " or ".join(_short(folder + name) for folder in self.folders[:3])
        return ImageFile(problem=("image_missing", f"{tried} does not exist", "add the file or drop the image"))

    def _contained(self, path: str) -> bool:
        folder = os.path.dirname(path)
        inside = self._inside.get(folder)
        if inside is None:
            inside = self._inside[folder] = (os.path.realpath(folder) + os.sep).startswith(self.home + os.sep)
        if os.path.islink(path):
            return os.path.realpath(path).startswith(self.home + os.sep)
        return inside


def _read(descriptor: int, path: str, *, key: str) -> ImageFile:
    facts = os.fstat(descriptor)
    known = {"path": path, "key": key, "size": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    try:
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is a folder" if stat.S_ISDIR(facts.st_mode) else "it is a pipe or a device")
        if not facts.st_size:
            raise ValueError("it is empty")
        try:
            header = read_header(Window(descriptor, facts.st_size))
        except Unread:
            header = _by_decoder(path)
    except Image.DecompressionBombError:
        return ImageFile(**known, problem=_huge(key, f"more than {LARGEST / 1e6:.0f} million pixels"))
    except Exception as error:  # decoders fall over broken files in every way there is: all of them are told
        message = f"{key} is no readable image: {_reason(error)}"
        return ImageFile(**known, problem=("image_unreadable", message, "replace the file, or drop the image"))
    if header.width * header.height > LARGEST:
        return ImageFile(**known, problem=_huge(key, f"{header.width}×{header.height} px"))
    if header.format == "PNG" and (damage := damage_of_png(descriptor)):
        cure = "replace the file, or drop the image: trainers leave it out without a word"
        return ImageFile(**known, problem=("image_damaged", f"{key} is damaged: {damage}", cure))
    return ImageFile(
        **known, format=header.format, width=header.width, height=header.height, orientation=header.orientation,
        depth=header.depth, cmyk=header.cmyk, animated=header.animated, cut=header.cut,
    )  # fmt: skip


def _huge(key: str, what: str) -> tuple[str, str, str]:
    cure = "cut it into tiles, or make it smaller: no trainer opens it, to keep its memory"
    return "image_huge", f"{key} has {what}", cure


def _by_decoder(path: str) -> Header:
    """Lets Pillow read the header of a rarer format, or of one that looks broken."""
    with Image.open(path) as image:
        kind, mode = image.format or "", image.mode
        orientation = 1
        # Only these are turned by the readers of the frameworks.
        if kind in {"JPEG", "MPO", "TIFF", "WEBP"}:
            value = image.getexif().get(ORIENTATION, 1)
            orientation = value if isinstance(value, int) and 1 <= value <= 8 else 1
        frames = getattr(image, "n_frames", 1)
        animated = frames > 1 and kind != "MPO"
        size = image.size
        if kind == "TIFF" and orientation in TURNED:
            size = (image.height, image.width)  # Pillow turns these itself and tells the size after that
        return Header(kind, *size, orientation, 16 if mode in DEEP else 8, mode == "CMYK", animated, False)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "unknown image format"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _short(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:150]}…{name[-40:]}"
