"""Where the software of an image lies on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflows.engine import EngineRefused

ENVIRONMENTS: Mapping[str, str] = {
    "steps": "steps",
    "trainer-toy": "steps",
    "trainer-ultralytics": "ultralytics",
}

# Nothing of the caller's own PATH: a job finds the same programs whoever starts the engine.
_SYSTEM_PATH = ("/usr/local/bin", "/opt/homebrew/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a process gets of its image: folders for PATH and PYTHONPATH, and where it starts (None: its own folder)."""

    path: str
    pythonpath: str
    cwd: Path | None


@dataclass(frozen=True)
class LocalImages:
    """Maps images to folders below `environments`; `source` holds the steps, custom commands start in `cwd`."""

    environments: Path
    source: Path
    cwd: Path

    def environment(self, image: str) -> Environment:
        """Returns the environment of an image; raises EngineRefused where it has not been made yet."""
        name = base_name(image)
        if name not in ENVIRONMENTS:
            return Environment(
                path=_path(Path(sys.executable).parent),
                pythonpath=str(self.source.absolute() / "steps"),
                cwd=self.cwd.absolute(),
            )
        folder = (self.environments / ENVIRONMENTS[name]).absolute()
        if not os.access(folder / "bin" / "python", os.X_OK):
            raise EngineRefused(f"the environment of image {image!r} is missing at {folder}: run `make environments`")
        return Environment(path=_path(folder / "bin"), pythonpath=str(self.source.absolute()), cwd=None)


def base_name(image: str) -> str:
    """Returns an image's name without registry, folder, tag and digest."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _path(first: Path) -> str:
    return os.pathsep.join([str(first), *_SYSTEM_PATH])
