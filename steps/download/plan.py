"""Decides what of a dataset is needed: its annotation documents, then the images that they name."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from steps.download.documents import named_files
from steps.download.source import Source

DOCUMENT = re.compile(r"(annotations?(_[^/]*)?|instances_[^/]*|annotations/[^/]*)\.json")
SMALL = frozenset({"metadata.json", "meta.json", "data.yaml", "data.yml", "classes.txt", "label_map.json"})
NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file to fetch: from which source, under which name there, and its place in the dataset folder."""

    source: Source
    name: str
    place: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Files to fetch; `missing` are images that are named but not there, `prefixes` other places of images."""

    items: tuple[Item, ...]
    missing: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(item.size for item in self.items)


def plan_documents(source: Source) -> Plan:
    """Plans the fetch of the annotation documents and of what says how they are meant."""
    sizes = source.sizes()
    names = [name for name in sizes if DOCUMENT.fullmatch(name)]
    wanted = [*names, *(name for name in sizes if name in SMALL)] if names else []
    return Plan(items=tuple(_item(source, name, name, sizes[name]) for name in wanted))


def plan_images(source: Source, documents: Plan, *, prefix: str, read: Callable[[str], bytes]) -> Plan:
    """Plans the fetch of the images; `prefix` is the dataset's own object key prefix, which an image_root may repeat.

    A dataset without any annotation document is fetched whole: what it is, a later step finds out.
    """
    sizes = source.sizes()
    whole = tuple(_item(source, name, name, size) for name, size in sizes.items())
    if not documents.items:
        return Plan(items=whole)
    images: dict[str, Item] = {}
    missing: dict[str, None] = {}
    others: dict[str, Source] = {}
    ends: dict[str, list[str]] = {}
    otherwise = _Otherwise(sizes)
    for name in (item.name for item in documents.items if DOCUMENT.fullmatch(item.name)):
        named = named_files(read(name))
        if named.all:
            return Plan(items=tuple(item for item in whole if item not in documents.items))
        elsewhere: Mapping[str, int] = {}
        if named.root and not (prefix and named.root.startswith(prefix)):
            other = others.get(named.root) or source.elsewhere(named.root)
            if other:
                others[named.root] = other
                elsewhere = other.sizes()
        folders = _folders(named.root, prefix)
        for file_name in named.files:
            if file_name in elsewhere:
                place = f"images/{file_name}"
                images.setdefault(place, _item(others[named.root], file_name, place, elsewhere[file_name]))
                continue
            found = [folder + file_name for folder in folders if folder + file_name in sizes][:1]
            for place in found or _by_end(file_name, sizes, ends) or otherwise.find(folders, file_name):
                images.setdefault(place, _item(source, place, place, sizes[place]))
                found = [place]
            if not found:
                missing[file_name] = None
    return Plan(items=tuple(images.values()), missing=tuple(missing), prefixes=tuple(others))


def _item(source: Source, name: str, place: str, size: int) -> Item:
    return Item(source=source, name=name, place=place, size=size)


def _by_end(file_name: str, sizes: Mapping[str, int], ends: dict[str, list[str]]) -> list[str]:
    """Finds the files whose path ends so: images may lie in a folder of their part, or deeper."""
    if not ends:
        for name in sizes:
            ends.setdefault(name.rpartition("/")[2], []).append(name)
    return [name for name in ends.get(file_name.rpartition("/")[2], ()) if name.endswith(f"/{file_name}")]


class _Otherwise:
    """Finds the only file whose name differs in case or Unicode form alone, as in archives made on macOS."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        self._by_spelling: dict[str, str | None] | None = None

    def find(self, folders: Sequence[str], file_name: str) -> list[str]:
        """Gives the file, or nothing where there is none or where it cannot be known which is meant."""
        if self._by_spelling is None:
            self._by_spelling = {}
            for name in self._sizes:
                key = _spelling(name)
                self._by_spelling[key] = None if key in self._by_spelling else name
        found = (self._by_spelling.get(_spelling(folder + file_name)) for folder in folders)
        return [name for name in found if name][:1]


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _folders(root: str, prefix: str) -> list[str]:
    parts = PurePosixPath(root.removeprefix(prefix)).parts
    tails = ["/".join(parts[start:]) + "/" for start in range(len(parts))]
    return list(dict.fromkeys([*tails, "images/", ""]))
