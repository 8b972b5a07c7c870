"""Gives the digest of every image file: from who knows it already, else by reading the file."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from steps.convert.check.files import ImageFile, Progress, in_batches, tell_bytes

Known = Mapping[str, tuple[int, int, str]]  # relative name: size, mtime in ns, SHA-256

SMALL = 1 << 20  # bytes that are read at once


def add_digests(
    files: Sequence[ImageFile], *, known: Known | None = None, progress: Progress | None = None
) -> list[ImageFile]:
    """Gives the files with their SHA-256; `known` is trusted where size and time of change are the file's."""
    filled, missing = list(files), []
    for row, file in enumerate(files):
        if file.digest or file.path is None or not file.size:
            continue
        fact = known.get(file.key or "") if known else None
        if fact and fact[0] == file.size and fact[1] == file.mtime_ns:
            filled[row] = replace(file, digest=fact[2])
        else:
            missing.append(row)
    done = 0
    for batch in in_batches(_sha256, [str(files[row].path) for row in missing], size=16):
        for digest in batch:
            row = missing[done]
            filled[row] = replace(files[row], digest=digest)
            done += 1
        if progress:
            told = sum(files[row].size for row in missing[done - len(batch) : done])
            tell_bytes(progress, "digests", done, len(missing), moved=told)
    return filled


def _sha256(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size <= SMALL:
                return hashlib.sha256(file.read()).hexdigest()
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # unreadable files were told when their header was read
