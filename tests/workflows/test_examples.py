"""The examples are what they say: each builds, passes the check and gives the YAML beside it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from workflows.manifest import build, check, to_yaml
from workflows.spec import JobSpec
from workflows.training import training_workflow

EXAMPLES = Path(__file__).parents[2] / "workflows" / "examples"
GOLDEN = Path(__file__).parent / "golden"
SCRIPTS = [path for path in sorted(EXAMPLES.glob("*.py")) if "hera" in path.read_text("utf-8")]
JOBS = [path for path in sorted(EXAMPLES.glob("*.yaml")) if not path.with_suffix(".py").exists()]


def compare(golden: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")
    assert golden.exists(), f"{golden.name} is missing: UPDATE_GOLDEN=1 writes it"
    assert text == golden.read_text("utf-8"), "if the change is meant: UPDATE_GOLDEN=1 writes it anew"
    check(yaml.safe_load(text))


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_gives_the_golden_yaml_beside_it(path: Path) -> None:
    compare(path.with_suffix(".yaml"), to_yaml(build(load(path).w)))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_a_job_file_compiles_to_its_golden(path: Path, attempt: Callable[..., Any]) -> None:
    spec = JobSpec.from_yaml(path.read_text("utf-8"))
    compare(GOLDEN / path.name, to_yaml(build(training_workflow(spec, attempt()))))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_prints_its_manifest_for_another_place(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes").mkdir()
    module = load(path)
    assert module.main(module.plan, dataset="digits", argv=["--print", "--dataset", "scenes", "--home", "here"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    check(printed)
    assert f"{(tmp_path / 'scenes').as_uri()}/" in str(printed)


def test_there_are_examples() -> None:
    assert [path.name for path in SCRIPTS] == ["compare_models.py", "train_digits.py"]
    assert [path.name for path in JOBS] == ["custom.yaml", "digits.yaml", "toy.yaml"]
