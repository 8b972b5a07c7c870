"""One version, said once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import workflows


def test_it_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert workflows.__version__ == project["version"]


def test_the_door_hands_on_every_name() -> None:
    for name in workflows.__all__:
        assert getattr(workflows, name) is not None
    assert not hasattr(workflows, "no_such_name")
