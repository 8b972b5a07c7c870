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
_PLAIN_SUFFIXES = frozenset(suffix for known in SUFFIXES.values() for suffix in known)
_ODD = re.compile(r"[\x00-\x1f\x7f*?\[\]]|^\.")
SHORT = 50  # characters: no encoding makes them longer than LONGEST
# Folders that hold every image, or all of one part: they tell nothing of one image, and layouts differ in them.
CONTAINERS = frozenset({"images", "JPEGImages", "train", "val", "valid", "test"})
LONGEST = 200  # bytes of a stem: file systems end at 255, and labels add their own suffix


def flat_names(names: Sequence[str], formats: Sequence[str], ids: Sequence[int]) -> list[str]:
    """Flattens file names; a stem that several images share (a.jpg and a.png too) gets the image's id appended."""
    stems, suffixes = [], []
    folders: dict[str, str] = {}
    for name, kind in zip(names, formats, strict=True):
        folder, slash, base = name.rpartition("/")
        dot = base.rfind(".")
        suffix = base[dot:]
        # Nearly every name is plain; the others, one by one, cost more.
        if dot > 0 and suffix in SUFFIXES.get(kind, _PLAIN_SUFFIXES) and not _ODD.search(base) and len(name) < SHORT:
            prefix = folders.get(folder)
            if prefix is None:
                prefix = folders[folder] = _flat(f"{folder}/x")[:-1] if slash else ""
            stems.append(prefix + base[:dot])
            suffixes.append(suffix)
            continue
        stem, suffix = os.path.splitext(name)
        known = SUFFIXES.get(kind, (suffix.lower(),))
        if suffix.lower() not in known:
            # The suffix lies or is missing: trainers go by it, so it is corrected.
            stem, suffix = (name if not suffix else stem), known[0]
        stems.append(_flat(stem))
        suffixes.append(suffix)
    # Case is folded because label files may lie on a file system that ignores it.
    folded = [stem.casefold() for stem in stems]
    if len(set(folded)) < len(folded):
        stems = _apart(stems, folded, ids)
    return [stem + suffix for stem, suffix in zip(stems, suffixes, strict=True)]


def stem_of(name: str) -> str:
    """Gives a flat name without its suffix."""
    return name.rpartition(".")[0] or name


def _apart(stems: Sequence[str], folded: Sequence[str], ids: Sequence[int]) -> list[str]:
    shared = Counter(folded)
    named = [f"{stem}-{id_}" if shared[key] > 1 else stem for stem, key, id_ in zip(stems, folded, ids, strict=True)]
    again = Counter(stem.casefold() for stem in named)
    return [f"image-{id_}" if again[stem.casefold()] > 1 else stem for stem, id_ in zip(named, ids, strict=True)]


def _flat(stem: str) -> str:
    parts = [part for part in stem.split("/") if part not in ("", ".")]
    while len(parts) > 1 and parts[0] in CONTAINERS:
        parts.pop(0)
    flat = "__".join(parts)
    flat = re.sub(r"[\x00-\x1f\x7f*?\[\]]", "_", flat)
    if flat.startswith("."):
        flat = "_" + flat[1:]
    if len(flat.encode("utf-8", "surrogateescape")) > LONGEST:
        digest = hashlib.sha256(flat.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        flat = flat.encode("utf-8", "ignore")[: LONGEST - 13].decode("utf-8", "ignore") + "-" + digest
    return flat
