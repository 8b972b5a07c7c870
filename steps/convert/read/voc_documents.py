"""Reads the annotation files of a Pascal VOC dataset one by one, and pairs each with its image."""

import gc
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from steps.convert.problems import Problem
from steps.convert.read.listing import Listing
from steps.convert.read.result import Progress
from steps.convert.read.voc_files import VocImages, documents, voc_images
from steps.convert.read.voc_rows import Rows, oriented
from steps.convert.read.voc_xml import VocFile, XmlRefused, read_xml
from steps.convert.version import text_content

OFTEN = 1000  # files between two words about progress


@dataclass(slots=True)
class Paired:
    """An image with its annotation file; an image without one has not been labeled. A size of 0 is not known."""

    name: str
    document: str | None
    width: int = 0
    height: int = 0
    genuine: bool = False
    number: int = -1  # the file's number in Rows


@dataclass(slots=True)
class Documents:
    """What all annotation files say; read() fills it."""

    root: Path
    rows: Rows
    paired: list[Paired] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    owner: dict[str, str] = field(default_factory=dict)  # the annotation file of each image
    unread: list[str] = field(default_factory=list)  # files that cannot be read

    def read(self, listing: Listing, progress: Progress | None) -> None:
        """Reads every file; the images come out sorted by name, those without a file among them."""
        images = voc_images(listing)
        names = documents(listing)
        with _uncollected():
            for number, document in enumerate(names, 1):
                self._read_one(document, images)
                if progress and (number % OFTEN == 0 or number == len(names)):
                    progress("annotations", number, len(names))
        unlabeled = sorted(
            name
            for stem, same in images.by_stem.items()
            if posixpath.dirname(stem) in images.folders
            for name in same
            if name not in self.owner
        )
        if unlabeled:
            message = f"{len(unlabeled)} images have no annotation file and are left out, the first: {unlabeled[0]}"
            cure = "label them; a file without objects makes a negative"
            self._bad(unlabeled[0], "image_unlabeled", message, cure, level="warning")
        self.paired += [Paired(name, None) for name in unlabeled]
        self.paired.sort(key=lambda one: one.name)

    def _read_one(self, document: str, images: VocImages) -> None:
        try:
            with open(f"{self.root}/{document}", "rb") as stream:
                raw = stream.read()
            self.contents[document] = text_content(raw)
            file = read_xml(raw)
        except OSError as error:
            self._unread(document, images, f"it cannot be read: {error.strerror}", "make it readable")
            return
        except XmlRefused as refused:
            self._unread(document, images, *refused.args)
            return
        if file.oriented:
            raise oriented(document)
        name = self._image_of(document, file, images)
        if name in self.owner:
            message = f"{name} is also the image of {self.owner[name]}"
            self._bad(document, "file_name_duplicate", message, "remove one of the two annotation files")
            return
        self.owner[name] = document
        number = len(self.paired)
        self.paired.append(Paired(name, document, file.width, file.height, file.genuine, number))
        self.rows.add(number, document, file.objects)

    def _unread(self, document: str, images: VocImages, message: str, cure: str) -> None:
        self._bad(document, "document_broken", message, cure)
        self.unread.append(document)
        # Its image is not unlabeled for that.
        self.owner.update(dict.fromkeys(images.find(document, ""), document))

    def _image_of(self, document: str, file: VocFile, images: VocImages) -> str:
        declared = file.image.replace("\\", "/").rpartition("/")[2]
        candidates = images.find(document, file.image)
        if not candidates:
            # It is told as missing when the images are looked at.
            folder, stem = posixpath.split(posixpath.splitext(document)[0])
            folder = "JPEGImages" if "JPEGImages" in images.listing.folders else folder
            return posixpath.join(folder, declared or f"{stem}.jpg")
        name = candidates[0]
        own = name.rpartition("/")[2]
        if len(candidates) > 1:
            message = f"it may belong to {' or '.join(candidates)}"
            cure = "write the right one as <filename>, or remove the other"
            self._bad(document, "image_ambiguous", message, cure)
        elif declared and declared != own and declared != posixpath.splitext(own)[0]:
            message = f"its <filename> is {declared[:120]!r}, its image is taken to be {name}"
            self._bad(document, "filename_differs", message, "write the image's name as <filename>", level="warning")
        return name

    def _bad(
        self, document: str, code: str, message: str, cure: str, *, level: Literal["error", "warning"] = "error"
    ) -> None:
        self.problems.append(Problem(level=level, code=code, file=document, message=message, cure=cure))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keeps the garbage collector off: trees of XML hold no cycles, and looking for some takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
