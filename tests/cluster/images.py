"""Our images on the node: those that are there are used as they are, the light ones are made where they are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.found import missing
from workflows.version import __version__

REPO = Path(__file__).parents[2]
PREFIX = os.environ.get("TIPHYS_TEST_IMAGE_PREFIX", "docker.io/tiphys")
TAG = os.environ.get("TIPHYS_TEST_IMAGE_TAG", __version__)
LIGHT = ("api", "steps", "trainer-toy")
"""Made in two minutes; the others take ten and more."""

_BASE = "docker.io/library/python:3.11-slim"
_LOAD = '. "$1/lib.sh"; shift; for name in "$@"; do load "$name"; done'


def name_of(image: str) -> str:
    """Returns an image's whole name."""
    return f"{PREFIX}/{image}:{TAG}"


def on_node(kubectl: list[str]) -> set[str]:
    """Returns the names of all images that nodes tell of."""
    found = subprocess.run([*kubectl, "get", "nodes", "-o", "json"], check=True, capture_output=True, text=True).stdout
    nodes = json.loads(found)["items"]
    return {name for node in nodes for image in node["status"].get("images", []) for name in image.get("names") or []}


@pytest.fixture(scope="session")
def images(kubectl: list[str]) -> Callable[[str], None]:
    """Sees to it that an image is on the node; makes it where that is a matter of minutes, else skips."""

    def need(*names: str) -> None:
        lacking = [name for name in names if name_of(name) not in on_node(kubectl)]
        heavy = [name for name in lacking if name not in LIGHT]
        if heavy:
            pytest.skip(f"{name_of(heavy[0])} is not on the node: make images IMAGES={heavy[0]}, and load it there")
        if lacking:
            _make(lacking)

    return need


def _make(names: list[str]) -> None:
    shared = REPO.parent / "shared" / "cluster"
    if not (shared / "lib.sh").exists() or shutil.which("buildah") is None:
        missing(f"{name_of(names[0])} is not on the node: make images, and load them there (tests/cluster/README.md)")
    if subprocess.run(["buildah", "inspect", "--type", "image", _BASE], capture_output=True).returncode != 0:
        missing(f"there is no {_BASE} to build on: {shared}/base makes it")
    wanted = {
        "IMAGE_PREFIX": PREFIX,
        "IMAGE_TAG": TAG,
        "PYTHON_IMAGE": _BASE,
        "BUILDER": "buildah",
        "BUILD_ARGS": "--isolation chroot --network host --pull-never",
    }
    for command in (
        [str(REPO / "requirements" / "images.sh"), *names],
        ["bash", "-euc", _LOAD, "load", str(shared), *map(name_of, names)],
    ):
        done = subprocess.run(command, env=os.environ | wanted, capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stderr
