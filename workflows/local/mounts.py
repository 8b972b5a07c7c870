"""Paths inside a pod and the folders of this machine that stand for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Every container has these, mounted or not.
IMPLICIT = ("/tmp", "/dev/shm")


@dataclass(frozen=True)
class Mounts:
    """The mount points of a pod, each with its folder; `implicit` ones were not asked for by the template."""

    folders: Mapping[str, Path]
    implicit: frozenset[str]

    def inside(self, path: str) -> str:
        """Translates a path that the manifest means inside the pod, wherever it lies."""
        return self._translate(path) or path

    def token(self, text: str) -> str:
        """Translates a value of the environment or a word of a command that is a mount point or lies below one.

        A file of this machine below /tmp that is there is meant as it stands: a custom command may lie in such a place.
        """
        if any(text.startswith(f"{mount}/") for mount in self.implicit) and os.path.exists(text):
            return text
        return self._translate(text) or text

    def _translate(self, text: str) -> str | None:
        for mount in sorted(self.folders, key=len, reverse=True):
            if text == mount or text.startswith(f"{mount}/"):
                return str(self.folders[mount]) + text[len(mount) :]
        return None


def mounts(container: Mapping[str, Any], *, volumes: Path, claims: frozenset[str], pod: Path) -> Mounts:
    """Lays out a container's mounts: claims below `volumes`, everything else below the pod's own folder."""
    folders: dict[str, Path] = {}
    for mount in container.get("volumeMounts") or []:
        name = mount["name"]
        folder = volumes / name if name in claims else pod / "empty" / name
        folders[mount["mountPath"].rstrip("/") or "/"] = folder / mount.get("subPath", "")
    implicit = frozenset(path for path in IMPLICIT if path not in folders)
    for path in implicit:
        folders[path] = pod / path.strip("/").replace("dev/", "")
    return Mounts(folders, implicit)
