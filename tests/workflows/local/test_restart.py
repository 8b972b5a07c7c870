"""The engine killed at any point: the next one goes on, and nothing runs twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflows.engine import EngineRefused, EngineUnavailable

ROOT = Path(__file__).parents[3]
STEPS = """
import sys, threading
from pathlib import Path
from workflows.local import Capacity, LocalEngine, LocalImages
root = Path(sys.argv[1])
images = LocalImages(environments=root, source=root, cwd=root)
engine = LocalEngine(root / "home", images=images, capacity=Capacity(cpus=4, gpus=("0",)))
print("up", flush=True)
engine.serve(threading.Event())
"""


@pytest.fixture
def stepping(house: Any) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", STEPS, str(house.home.parent)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_engine_killed_in_every_step(house: Any, make: Any, stepping: Any) -> None:
    marks = house.home.parent / "marks"
    begin = 'echo {0} >> "{1}"; while ! test -f "{1}.{0}"; do sleep 0.02; done'
    steps = ("fetch", "convert", "train", "upload", "report", "on_exit")
    manifest = make.pipeline("job", **{step: begin.format(step, marks) + '; echo 1 > "$TMP_DIR/out"' for step in steps})
    watcher = house.engine()
    watcher.submit(manifest, secrets={})
    for count, step in enumerate(steps, 1):
        process = stepping()
        poll(lambda count=count: marks.exists() and len(marks.read_text().splitlines()) == count)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        # The step ends while nobody watches.
        Path(f"{marks}.{step}").touch()
    make.until(watcher, lambda: make.finished(watcher.get("job")))
    found = watcher.get("job")
    assert found["status"]["phase"] == "Succeeded"
    assert marks.read_text().splitlines() == list(steps), "each step ran exactly once"
    assert {node["phase"] for node in found["status"]["nodes"].values()} == {"Succeeded"}


def test_written_down_but_not_started_is_started_once(house: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = house.home.parent / "mark"
    first = house.engine()
    first.submit(make.single("job", f"echo once >> {mark}"), secrets={})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(first._pods, "launch", killed)
        with pytest.raises(KeyboardInterrupt):
            first.step()
    first.close()
    assert "PodInitializing" in str(first.get("job"))
    second = house.engine()
    make.until(second, lambda: make.finished(second.get("job")))
    assert mark.read_text() == "once\n"


def test_finished_but_not_cleaned_up_is_cleaned_up(house: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = house.engine()
    first.submit(make.pipeline("job"), secrets={"TOKEN": "t"})
    monkeypatch.setattr(first._store, "drop_secrets", lambda name: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        make.until(first, lambda: make.finished(first.get("job")))
    before = first.get("job")
    assert make.finished(before)
    first.close()
    second = house.engine()
    second.step()
    assert second.get("job") == before
    assert sorted(path.name for path in house.folder("job").iterdir()) == [
        "finished", "manifest.json", "pods", "status.json",
    ]  # fmt: skip


def test_one_engine_steps_a_home(house: Any) -> None:
    first, second = house.engine(), house.engine()
    first.step()
    with pytest.raises(EngineUnavailable, match=f"pid {os.getpid()}"):
        second.step()
    first.close()
    second.step()


def test_submit_is_idempotent(house: Any, make: Any) -> None:
    engine = house.engine()
    mark = house.home.parent / "mark"
    manifest = make.single("job", f"echo once >> {mark}")
    engine.submit(manifest, secrets={})
    engine.submit(make.copy(manifest), secrets={})
    make.until(engine, lambda: make.finished(engine.get("job")))
    engine.submit(manifest, secrets={})
    assert not engine.step() or not engine.step()
    assert mark.read_text() == "once\n"
    with pytest.raises(EngineRefused, match="another workflow is already called job"):
        engine.submit(make.single("job", "true"), secrets={})


def test_reading(house: Any, make: Any) -> None:
    engine = house.engine()
    assert engine.get("nothing") is None
    assert engine.get("../../etc") is None
    assert engine.logs("nothing", "x", 0) == b""
    manifest = make.single("job", "echo out")
    engine.submit(manifest, secrets={"TOKEN": "hush"})
    accepted = engine.get("job")
    assert "status" not in accepted
    assert accepted["spec"] == manifest["spec"]
    assert "hush" not in json.dumps(accepted)
    assert engine.names() == ["job"]


def test_workspace_goes_and_logs_stay(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.pipeline("job", train='ls "$WORK_DIR"; exit 1'), secrets={})
    found = engine.run("job")
    assert found["status"]["phase"] == "Failed"
    assert not (house.folder("job") / "volumes").exists()
    assert "persistentVolumeClaims" not in found["status"]
    assert engine.logs("job", make.node(found, "train")["id"], 0) == b"dataset\n", "of a Retry node: its last attempt"
    pod = house.pod(found, "train(0)")
    assert not (pod / "tmp").exists()
    assert {"pod.json", "started.json", "exit.json", "main.log"} <= {path.name for path in pod.iterdir()}


def test_run_tells_every_change(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.single("job", "true"), secrets={})
    seen: list[dict[str, Any]] = []
    last = engine.run("job", seen.append)
    versions = [int(each["metadata"]["resourceVersion"]) for each in seen]
    assert versions == sorted(set(versions))
    assert seen[-1] == last
    assert last["status"]["phase"] == "Succeeded"
    with pytest.raises(EngineRefused, match="there is no workflow"):
        engine.run("other")


def test_serve_wakes_up_for_what_is_submitted(house: Any, make: Any) -> None:
    engine, stop = house.engine(), threading.Event()
    thread = threading.Thread(target=engine.serve, args=(stop,))
    thread.start()
    try:
        engine.submit(make.single("job", "true"), secrets={})
        poll(lambda: make.finished(engine.get("job")))
    finally:
        stop.set()
        thread.join()
    assert engine.get("job")["status"]["phase"] == "Succeeded"


def test_nothing_to_do_reads_nothing(house: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = house.engine()
    engine.submit(make.single("job", "true"), secrets={})
    engine.run("job")
    monkeypatch.setattr(engine._store, "state", lambda name: pytest.fail("a finished workflow was read again"))
    assert engine.step() is False


def test_full_disk_is_waited_out(house: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = house.engine()
    engine.submit(make.single("job", "true"), secrets={})
    with monkeypatch.context() as patch:
        patch.setattr(engine._store, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            engine.step()
    assert not list((house.folder("job") / "pods").iterdir()), "nothing was started that is not written down"
    assert engine.run("job")["status"]["phase"] == "Succeeded"


def test_outputs_are_not_cleared_away_before_they_are_written_down(
    house: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = house.engine()
    outputs = {"parameters": [{"name": "out", "valueFrom": {"path": "/tmp/out"}}]}
    engine.submit(make.single("job", 'echo 7 > "$TMP_DIR/out"', outputs=outputs), secrets={})
    pods = house.folder("job") / "pods"
    make.until(engine, lambda: list(pods.iterdir()))
    poll(lambda: list(pods.glob("*/exit.json")))
    with monkeypatch.context() as patch:
        patch.setattr(engine._store, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            engine.step()
    engine.close()  # and what it had in memory is lost
    found = house.engine().run("job")
    assert make.node(found, "a")["outputs"]["parameters"][0]["value"] == "7"


def poll(reached: Any, seconds: float = 20) -> None:
    end, pause = time.monotonic() + seconds, threading.Event()
    while not reached():
        assert time.monotonic() < end, "waited in vain"
        pause.wait(0.02)
