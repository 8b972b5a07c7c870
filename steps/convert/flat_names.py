"""Gives every image a name in one flat folder such that neither images nor labels collide."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence

# What trainers recognise as an image, by the format that was found in the file.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
LONGEST = 200  # bytes of a stem: file systems end at 255, and labels add their own suffix


def flat_names(names: Sequence[str], formats: Sequence[str], ids: Sequence[int]) -> list[str]:
    """Flattens file names; a stem that several images share (a.jpg and a.png too) gets the image's id appended."""
    stems, suffixes = [], []
    for name, kind in zip(names, formats, strict=True):
        stem, suffix = os.path.splitext(name)
        known = SUFFIXES.get(kind, (suffix.lower(),))
        if suffix.lower() not in known:
            # The suffix lies or is missing: trainers go by it, so it is corrected.
            stem, suffix = (name if not suffix else stem), known[0]
        stems.append(_flat(stem))
        suffixes.append(suffix)
    # Case is folded because label files may lie on a file system that ignores it.
    shared = Counter(stem.casefold() for stem in stems)
    stems = [f"{stem}-{id_}" if shared[stem.casefold()] > 1 else stem for stem, id_ in zip(stems, ids, strict=True)]
    again = Counter(stem.casefold() for stem in stems)
    return [
        (f"image-{id_}" if again[stem.casefold()] > 1 else stem) + suffix
        for stem, suffix, id_ in zip(stems, suffixes, ids, strict=True)
    ]


def _flat(stem: str) -> str:
    parts = [part for part in stem.split("/") if part not in ("", ".")]
    # `images/` doubled in name and root is no folder of its own.
    flat = "__".join(parts[1:] if len(parts) > 1 and parts[0] == "images" else parts)
    flat = re.sub(r"[\x00-\x1f\x7f*?\[\]]", "_", flat)
    if flat.startswith("."):
        flat = "_" + flat[1:]
    if len(flat.encode("utf-8", "surrogateescape")) > LONGEST:
        digest = hashlib.sha256(flat.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        flat = flat.encode("utf-8", "ignore")[: LONGEST - 13].decode("utf-8", "ignore") + "-" + digest
    return flat
