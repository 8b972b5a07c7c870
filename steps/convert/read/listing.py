"""Lists the files of a dataset folder by their names below it, once each, whatever links there are."""

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from steps.convert.problems import DatasetRefused, Problem
from steps.convert.read.fields import is_text

LONGEST = 1024  # bytes of a name below the dataset: the longest key that object stores take
MOST = 5_000_000  # files; a folder with more is hardly the one that was meant
IMAGE_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib", "tif", "tiff", "webp", "gif", "mpo"),
        *("avif", "heic", "heif", "jp2", "ppm", "pgm", "pbm", "pnm", "dng", "pfm"),
    )
)
# What file managers, archivers and frameworks leave behind.
LITTER = frozenset({"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information"})


@dataclass(slots=True)
class Listing:
    """All files below a folder, sorted by name, and its folders; problems tell what was passed over."""

    names: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def images(self) -> list[str]:
        """Gives the names that end like an image file."""
        return [name for name in self.names if is_image(name)]

    def ending(self, suffix: str) -> list[str]:
        """Gives the names with a suffix such as `.txt`, whatever its case."""
        return [name for name in self.names if name[-len(suffix) :].lower() == suffix]


def is_image(name: str) -> bool:
    """Tells an image by its suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def list_files(root: Path, *, contained: bool) -> Listing:
    """Walks a folder; hidden files are passed over; with `contained`, links that leave it are refused by name."""
    walk = _Walk(os.path.realpath(root), contained=contained)
    walk.run()
    walk.found.names.sort()
    return walk.found


class _Walk:
    def __init__(self, home: str, *, contained: bool) -> None:
        self.home, self.contained = home, contained
        self.found = Listing()
        self.seen: set[str] = set()
        self.todo: list[tuple[str, str]] = [("", home)]
        self.linked: list[tuple[str, str]] = []  # walked last, so that a folder is known by its own name

    def run(self) -> None:
        while self.todo or self.linked:
            name, real = self.todo.pop() if self.todo else self.linked.pop(0)
            if real in self.seen:
                where = os.path.relpath(real, self.home)
                self.bad("link_loop", name, f"the link leads to {where}, which is listed already", "remove the link")
                continue
            self.seen.add(real)
            try:
                with os.scandir(f"{self.home}/{name}") as entries:
                    self.enter(name, real, entries)
            except OSError as error:
                self.bad("folder_unreadable", name, f"the folder cannot be read: {error.strerror}", "make it readable")

    def enter(self, folder: str, real: str, entries: Iterable[os.DirEntry[str]]) -> None:
        prefix = f"{folder}/" if folder else ""
        for entry in entries:
            own = entry.name
            if own[0] == "." or own in LITTER:
                continue
            name = prefix + own
            if not own.isascii() and not is_text(own):
                shown = name.encode("utf-8", "backslashreplace").decode()
                self.bad("name_not_text", shown, "its name is not UTF-8", "unpack the archive again, or rename it")
            elif len(name) > LONGEST or len(name.encode()) > LONGEST:
                shown = f"{name[:100]}…{name[-40:]}"
                self.bad("path_too_long", shown, f"its path is longer than {LONGEST} bytes", "shorten its folders")
            else:
                try:
                    self.sort_in(entry, name, real)
                except OSError as error:  # a link to itself, or what may not be looked at
                    self.bad("file_missing", name, f"it cannot be looked at: {error.strerror}", "put the file there")

    def sort_in(self, entry: os.DirEntry[str], name: str, real: str) -> None:
        target = f"{real}/{entry.name}"
        if entry.is_symlink():
            if self.contained or not entry.is_file():
                target = os.path.realpath(target)
            if self.contained and not target.startswith(self.home + os.sep) and target != self.home:
                self.bad("path_unsafe", name, "it is a link that leaves the dataset", "put the file itself there")
                return
        if entry.is_file():
            self.found.names.append(name)
            if len(self.found.names) > MOST:
                raise DatasetRefused([_too_many(name)])
        elif entry.is_symlink() and f"{self.home}/".startswith(f"{target.rstrip('/')}/"):
            message = "the link leads to a folder that holds the dataset itself"
            self.bad("link_loop", name, message, "remove the link")
        elif entry.is_dir():
            self.found.folders.add(name)
            (self.linked if entry.is_symlink() else self.todo).append((name, target))
        else:
            what = "a link that leads nowhere" if entry.is_symlink() else "neither a file nor a folder"
            self.bad("file_missing", name, f"it is {what}", "put the file there, or remove it")

    def bad(self, code: str, name: str, message: str, cure: str) -> None:
        self.found.problems.append(Problem(code=code, file=name or ".", message=message, cure=cure))


def _too_many(name: str) -> Problem:
    message, cure = f"there are more than {MOST:,} files in the folder", "give the dataset's own folder, or split it"
    return Problem(code="dataset_large", file=name, message=message, cure=cure)


class Lookup:
    """Finds a file by a name that may be written in another Unicode form or case; counts such finds in `forms`."""

    def __init__(self, names: Iterable[str]) -> None:
        self.exact = frozenset(names)
        self.forms: list[tuple[str, str]] = []  # what was asked for, what was found
        self._folded: dict[str, str | None] | None = None

    def find(self, name: str) -> str | None:
        """Gives the file's own name: as asked, else the only one that differs just in Unicode form or case."""
        if name in self.exact:
            return name
        if self._folded is None:
            self._folded = {}
            for own in self.exact:
                key = folded(own)
                self._folded[key] = None if key in self._folded else own
        found = self._folded.get(folded(name))
        if found is not None:
            self.forms.append((name, found))
        return found


def folded(name: str) -> str:
    """Gives one spelling to names that some file systems take for the same: NFC, without case."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def forms_warning(lookup: Lookup, *, what: str) -> list[Problem]:
    """Says in one warning that files were found by another spelling of their names."""
    if not lookup.forms:
        return []
    asked, found = lookup.forms[0]
    message = f"{len(lookup.forms)} {what} are spelled otherwise than their files, in case or Unicode form (NFC, NFD)"
    cure = "nothing need be done: they were matched; give both the same name to be safe"
    return [Problem(level="warning", code="name_form", file=found, message=f"{message}: {asked!r}", cure=cure)]
