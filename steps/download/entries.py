"""Checks a zip's list of entries before anything is unpacked: no traversal, no links, no bombs, readable names."""

import contextlib
import stat
import zipfile
from collections.abc import Iterable
from pathlib import PurePosixPath

from steps.download.source import refused, too_long, unsafe

MOST_FILES = 5_000_000
MOST_RATIO = 200  # unpacked to packed; real annotation documents reach about 50
FREE_OF_RATIO = 16 << 20  # bytes: what is smaller cannot hurt, however well it packs
IGNORED = ("__MACOSX/",)
IGNORED_NAMES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
OWN_FOLDERS = frozenset({"images", "annotations", "labels", "masks", "train", "valid", "val", "test"})


def checked(archive: zipfile.ZipFile, *, uri: str, packed: int) -> dict[str, zipfile.ZipInfo]:
    """Gives the entries to unpack by their safe names; raises DATASET_ERROR naming the first that is not."""
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise refused(f"{uri}: {len(entries)} entries are more than {MOST_FILES}; split the dataset")
    found: dict[str, zipfile.ZipInfo] = {}
    page = code_page(entries)
    for entry in entries:
        name = decoded_name(entry, page=page)
        if name.startswith(IGNORED) or name.rpartition("/")[2] in IGNORED_NAMES:
            continue
        if reason := unsafe(name) or too_long(name):
            shown = name if len(name) <= 200 else f"{name[:120]}…{name[-40:]}"
            raise refused(f"{uri}: entry {shown!r} is refused: {reason}; pack the folder again with plain names")
        # Spelt in one way: `top//etc/x` without its top folder would be the absolute `/etc/x`.
        name = str(PurePosixPath(name))
        mode = entry.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a link" if stat.S_ISLNK(mode) else "a special file"
            raise refused(f"{uri}: entry {name!r} is {kind}; pack the file itself")
        if entry.is_dir():
            continue
        if entry.flag_bits & 1:
            raise refused(f"{uri}: entry {name!r} is encrypted; pack it without a password")
        if name in found:
            raise refused(f"{uri}: entry {name!r} stands in it twice; pack it once")
        if entry.file_size > FREE_OF_RATIO and entry.file_size > MOST_RATIO * entry.compress_size:
            raise refused(
                f"{uri}: entry {name!r} unpacks to {entry.file_size} bytes from {entry.compress_size}: a bomb"
            )
        found[name] = entry
    total = sum(entry.file_size for entry in found.values())
    if total > FREE_OF_RATIO and total > MOST_RATIO * packed:
        raise refused(f"{uri}: it unpacks to {total} bytes from {packed}: a bomb")
    if sum(entry.compress_size for entry in found.values()) > packed:
        raise refused(f"{uri}: its entries overlap: a bomb")
    for name in found:
        parts = name.split("/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in found:
                raise refused(f"{uri}: {'/'.join(parts[:end])!r} is a file and a folder in it; pack it again")
    return _without_top_folder(found)


def code_page(entries: Iterable[zipfile.ZipInfo]) -> str:
    """Gives the code page of the names that are no UTF-8: CP949 if that reads every one of them, else CP437."""
    for entry in entries:
        try:
            decoded_name(entry, page="cp949", strict=True)
        except UnicodeDecodeError:
            return "cp437"
    return "cp949"


def decoded_name(entry: zipfile.ZipInfo, *, page: str = "cp949", strict: bool = False) -> str:
    """Gives an entry's name: UTF-8 where it says so or can be read so, else by the code page, else CP437."""
    if entry.flag_bits & 0x800:
        return entry.orig_filename
    try:
        raw = entry.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.orig_filename
    with contextlib.suppress(UnicodeDecodeError):
        return raw.decode("utf-8")
    try:
        return raw.decode(page)
    except UnicodeDecodeError:
        if strict:
            raise
        return entry.orig_filename


def _without_top_folder(found: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    tops = {name.partition("/")[0] if "/" in name else "" for name in found}
    if len(tops) != 1 or tops <= {"", *OWN_FOLDERS}:
        return found
    return {name.partition("/")[2]: entry for name, entry in found.items()}
