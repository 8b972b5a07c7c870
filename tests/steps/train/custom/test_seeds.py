"""The sample trainers of the older guides run unchanged, as processes with the contract's environment."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steps import jobs
from tests.steps.s3 import serving
from tests.steps.train.custom import seeds
from tests.steps.wire import Platform, environment

pytestmark = pytest.mark.skipif(not seeds.present(), reason="the older guides' texts do not lie beside this repository")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An author's folder: trainer_sdk.py and what the test puts beside it."""
    shutil.copy(jobs.REPO / "steps" / "trainer_sdk.py", tmp_path)
    return tmp_path


@pytest.fixture
def in_tmp() -> Iterator[None]:
    with seeds.in_tmp():
        yield


def test_the_complete_sample(folder: Path, workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    (folder / "train.py").write_text(seeds.sample(seeds.GUIDE, "sys.exit(main())"))
    code, out = jobs.run([sys.executable, str(folder / "train.py")], environment(workspace, url=platform.url))
    assert code == 0, out
    assert [body["epoch"] for body in platform.calls("heartbeat") if "epoch" in body] == [1, 2, 3]
    (done,) = platform.calls("done")
    assert (done["status"], done["final_metrics"]) == ("succeeded", {"loss": 0.01, "accuracy": 0.99})


def test_the_complete_sample_where_nobody_listens(folder: Path, workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    platform.answer = lambda heard: (401, {}, {})
    (folder / "train.py").write_text(seeds.sample(seeds.GUIDE, "sys.exit(main())"))
    code, out = jobs.run([sys.executable, str(folder / "train.py")], environment(workspace, url=platform.url))
    assert code == 2, out
    assert (workspace / "done.json").is_file()


@pytest.mark.usefixtures("in_tmp")
def test_the_basic_sample(folder: Path, workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    (folder / "sample.txt").write_text(seeds.sample(seeds.GUIDE, "train_one_epoch(...)"))
    (folder / "train.py").write_text(seeds.DRIVER)
    code, out = jobs.run([sys.executable, str(folder / "train.py")], environment(workspace, url=platform.url))
    assert code == 0, out
    (done,) = platform.calls("done")
    best = Path(done["artifacts"]["best_checkpoint"].removeprefix("file://"))
    assert (done["status"], best.read_text()) == ("succeeded", "best")
    saved = [body["data"]["kind"] for body in platform.calls("event") if body["event_type"] == "checkpoint_saved"]
    assert saved == ["best", "last"]


def test_the_basic_sample_fails_by_the_type_it_names(folder: Path, workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    (folder / "sample.txt").write_text(seeds.sample(seeds.GUIDE, "train_one_epoch(...)"))
    (folder / "train.py").write_text(seeds.DRIVER.replace("return {", "raise RuntimeError('no luck')\n    return {"))
    code, out = jobs.run([sys.executable, str(folder / "train.py")], environment(workspace, url=platform.url))
    assert code == 1, out
    (done,) = platform.calls("done")
    assert (done["status"], done["error_type"], done["error"]) == ("failed", "TRAINING_ERROR", "no luck")


@pytest.mark.usefixtures("in_tmp")
def test_the_sample_without_the_sdk(folder: Path, workspace: Path, platform: Platform) -> None:
    store = folder / "s3"
    (store / "bucket" / "datasets").mkdir(parents=True)
    with zipfile.ZipFile(store / "bucket" / "datasets" / "digits.zip", "w") as archive:
        archive.writestr("annotations.json", "{}")
    (folder / "sample.txt").write_text(seeds.sample(seeds.PLUGIN, "import requests"))
    (folder / "train.py").write_text(seeds.DRIVER)
    with serving(store, kind="r2") as variables:
        environ = environment(workspace, url=platform.url, **variables)
        code, out = jobs.run([sys.executable, str(folder / "train.py")], environ)
    assert code == 0, out
    assert [body["epoch"] for body in platform.calls("heartbeat")] == [0, 1, 2]
    assert platform.calls("done") == []
