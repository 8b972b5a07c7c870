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
    """The mount points of a pod, each with its folder; `scratch` ones begin empty with every pod."""

    folders: Mapping[str, Path]
    scratch: frozenset[str]

    def inside(self, path: str) -> str:
        """Translates a path that the manifest means inside the pod."""
        mount = self._mount(path)
        return path if mount is None else str(self.folders[mount]) + path[len(mount) :]

    def token(self, text: str) -> str:
        """Translates a value of the environment or a word of a command that is a mount point or lies below one.

        Scratch begins empty: a file below /tmp that is there on this machine is meant as it stands.
        """
        mount = self._mount(text)
        if mount in self.scratch and text != mount and os.path.lexists(text):
            return text
        return self.inside(text)

    def _mount(self, text: str) -> str | None:
        fitting = (mount for mount in self.folders if text == mount or text.startswith(f"{mount}/"))
        return max(fitting, key=len, default=None)


def mounts(container: Mapping[str, Any], *, claims: Mapping[str, Path], pod: Path) -> Mounts:
    """Lays out a container's mounts: a claim's volume in its folder, everything else below the pod's own."""
    folders = {path: pod / path.rpartition("/")[2] for path in IMPLICIT}
    scratch = set(IMPLICIT)
    for mount in container.get("volumeMounts") or []:
        name = mount["name"]
        where = mount["mountPath"].rstrip("/") or "/"
        (scratch.discard if name in claims else scratch.add)(where)
        folder = claims.get(name, pod / "empty" / name)
        folders[where] = folder / mount.get("subPath", "")
    return Mounts(folders, frozenset(scratch))
