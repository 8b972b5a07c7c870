"""What a process gets, what becomes of its output and its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from workflows.local import emissary
from workflows.local.pods import Pods


def sleeps(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "sleep" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def finish(engine: Any, make: Any, name: str = "job") -> dict[str, Any]:
    make.until(engine, lambda: make.finished(engine.get(name)))
    return engine.get(name)


def run(
    house: Any, make: Any, manifest: dict[str, Any], *, secrets: dict[str, str] | None = None, **engine: Any
) -> Any:
    made = house.engine(**engine)
    made.submit(manifest, secrets=secrets or {})
    return made, finish(made, make)


def test_environment_is_the_templates_and_nothing_of_the_parents(
    house: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-parent")
    monkeypatch.setenv("TIPHYS_HOME", "/of/the/parent")
    monkeypatch.setenv("PYTHONPATH", "/of/the/parent")
    variables = [
        {"name": "JOB_ID", "value": "x"},
        {"name": "WORK_DIR", "value": "/workspace"},
        {"name": "TMP_DIR", "value": "/tmp"},
        {"name": "URI", "value": "file:///workspace/stays"},
        {"name": "CALLBACK_TOKEN", "valueFrom": {"secretKeyRef": {"name": "job", "key": "CALLBACK_TOKEN"}}},
        {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "job", "key": "absent", "optional": True}}},
    ]
    manifest = make.single(
        "job",
        "",
        container={
            "command": ["python", "-c"],
            "args": ["import json, os; print(json.dumps(dict(os.environ))); print(os.getcwd())"],
            "env": variables,
            "volumeMounts": [{"name": "workspace", "mountPath": "/workspace"}],
        },
    )
    manifest["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "workspace"}}]
    engine, found = run(house, make, manifest, secrets={"CALLBACK_TOKEN": "hush-hush"})
    seen, cwd = engine.logs("job", make.node(found, "a")["id"], 0).decode().splitlines()
    environment = json.loads(seen)
    pod = house.pod(found, "a")
    assert {key for key in environment if key not in {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"}} == {
        "JOB_ID", "WORK_DIR", "TMP_DIR", "URI", "CALLBACK_TOKEN", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "LANG",
        "HOME", "ARGO_PROGRESS_FILE", "TERMINATION_LOG", "CUDA_VISIBLE_DEVICES",
    }  # fmt: skip
    assert environment["CALLBACK_TOKEN"] == "hush-hush"
    assert environment["WORK_DIR"] == str(house.folder("job") / "volumes" / "workspace")
    assert environment["TMP_DIR"] == str(pod / "tmp")
    assert environment["HOME"] == str(pod / "home")
    assert environment["URI"] == "file:///workspace/stays"
    assert environment["CUDA_VISIBLE_DEVICES"] == "", "a pod that asked for no GPU sees none"
    assert "of-the-parent" not in seen
    assert "/of/the/parent" not in seen
    assert cwd == str(house.images.cwd)
    for path in pod.rglob("*"):
        if path.is_file() and path.name != "main.log":
            assert b"hush-hush" not in path.read_bytes(), path


def test_secrets_are_private_and_go_with_the_end(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.single("job", "true"), secrets={"TOKEN": "hush"})
    secrets = house.folder("job") / "secrets.json"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert json.loads(secrets.read_text()) == {"job": {"TOKEN": "hush"}}
    finish(engine, make)
    assert not secrets.exists()


def test_paths_below_mounts_are_translated(house: Any, make: Any) -> None:
    here = house.home.parent / "trainer.py"
    here.write_text("import sys; print(*sys.argv[1:], sep='\\n')")
    manifest = make.single(
        "job",
        "",
        container={
            "command": ["python", str(here)],
            "args": ["/workspace", "/workspace/a/b", "/workspaces", "/tmp/x", "/dev/shm", "see /workspace"],
            "workingDir": "/workspace",
            "volumeMounts": [{"name": "workspace", "mountPath": "/workspace/"}, {"name": "tmp", "mountPath": "/tmp"}],
        },
        volumes=[{"name": "tmp", "emptyDir": {}}],
    )
    manifest["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "workspace"}}]
    engine, found = run(house, make, manifest)
    workspace, pod = str(house.folder("job") / "volumes" / "workspace"), house.pod(found, "a")
    assert engine.logs("job", make.node(found, "a")["id"], 0).decode().splitlines() == [
        workspace, f"{workspace}/a/b", "/workspaces", f"{pod}/empty/tmp/x", str(pod / "shm"), "see /workspace",
    ]  # fmt: skip
    assert not (pod / "empty").exists(), "scratch is gone when the pod has ended"


def test_a_named_claim_outlives_the_workflows_that_use_it(house: Any, make: Any) -> None:
    def manifest(name: str, script: str, **volume: Any) -> Any:
        return make.single(
            name,
            script,
            container={"volumeMounts": [{"name": "cache", "mountPath": "/cache", **volume}],
                       "env": [{"name": "CACHE_DIR", "value": "/cache"}]},
            volumes=[{"name": "cache", "persistentVolumeClaim": {"claimName": "tiphys-cache"}}],
        )  # fmt: skip

    engine, _ = run(house, make, manifest("job", 'echo kept > "$CACHE_DIR/entry"'))
    engine.delete("job")
    engine.step()
    engine.submit(manifest("second", 'cat "$CACHE_DIR/entry"', readOnly=True), secrets={})
    found = finish(engine, make, "second")
    assert engine.logs("second", make.node(found, "a")["id"], 0) == b"kept\n"
    assert (house.home / "engine" / "claims" / "tiphys-cache" / "entry").read_text() == "kept\n"


def test_gpu_is_told_and_without_one_it_runs_on_the_cpu(house: Any, make: Any) -> None:
    container = {
        "env": [{"name": "DEVICE", "value": "0"}],
        "resources": {"limits": {"nvidia.com/gpu": "1", "cpu": "64"}},
    }
    script = 'echo "$DEVICE/$CUDA_VISIBLE_DEVICES"'
    engine, found = run(house, make, make.single("job", script, container=container), gpus=("5",), cpus=64)
    assert engine.logs("job", make.node(found, "a")["id"], 0) == b"0/5\n"
    assert "message" not in make.node(found, "a")
    engine.close()
    bare = house.engine(gpus=(), cpus=2)
    bare.submit(make.single("other", script, container=container), secrets={})
    found = finish(bare, make, "other")
    assert bare.logs("other", make.node(found, "a")["id"], 0) == b"cpu/\n"
    assert make.node(found, "a")["message"] == (
        "no GPU on this machine: runs on the CPU; asks for 64 CPUs, this machine has 2: runs with 2"
    )


def test_hundred_megabytes_of_output(house: Any, make: Any) -> None:
    script = "import sys\nfor n in range(1600): sys.stdout.write(('x' * 63 + '\\n') * 1024)\nprint('last words')"
    manifest = make.single("job", "", container={"command": ["python", "-c"], "args": [script]})
    engine, found = run(house, make, manifest)
    node = make.node(found, "a")
    assert node["phase"] == "Succeeded"
    assert (house.pod(found, "a") / "main.log").stat().st_size == 1600 * 65536 + len("last words\n")
    assert len(engine.logs("job", node["id"], 0)) == 1 << 20
    assert engine.logs("job", node["id"], 1600 * 65536) == b"last words\n"
    assert engine.logs("job", node["id"], 1 << 40) == b""


def test_log_keeps_its_end_where_the_middle_is_left_out(tmp_path: Path) -> None:
    log = emissary.Log(tmp_path / "log", limit=1000, tail=100)
    for number in range(300):
        log.write(b"%08d\n" % number)
    log.close("bye")
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines[0] == b"00000000"
    assert lines[-2:] == [b"00000299", b"[tiphys] bye"]
    note = next(line for line in lines if b"left out" in line)
    assert note == b"[tiphys] 1700 bytes of output left out here"


def test_exit_codes_and_messages(house: Any, make: Any) -> None:
    steps = {
        "signal": "kill -9 $$",
        "term": "kill -15 $$",
        "told": 'echo "why it failed" > "$TERMINATION_LOG"; exit 3',
    }
    templates = [make.dag({**dict.fromkeys(steps), "missing": None}, failFast=False)]
    templates += [{"name": name, "container": make.sh(script)} for name, script in steps.items()]
    templates.append({"name": "missing", "container": {"image": "x", "command": ["no-such-program"]}})
    _, found = run(house, make, make.workflow("job", templates))
    told = {name: make.node(found, name)["message"] for name in (*steps, "missing")}
    assert told["signal"] == "main: Error (exit code 137)"
    assert told["term"] == "main: Error (exit code 143)"
    assert told["told"] == "main: Error (exit code 3): why it failed\n"
    assert told["missing"].startswith("main: Error (exit code 127): cannot run 'no-such-program'")


def test_what_a_command_leaves_running_ends_with_it(house: Any, make: Any) -> None:
    script = "setsid sleep 300 & echo $!; sleep 301 & echo $!"
    engine, found = run(house, make, make.single("job", script))
    pids = [int(line) for line in engine.logs("job", make.node(found, "a")["id"], 0).split()]
    assert len(pids) == 2
    assert not any(sleeps(pid) for pid in pids)


def test_progress_is_told_while_it_runs(house: Any, make: Any) -> None:
    script = 'echo 3/12 > "$ARGO_PROGRESS_FILE"; while ! test -f "$HOME/go"; do sleep 0.02; done'
    engine = house.engine()
    engine.submit(make.single("job", script), secrets={})
    found = make.until(
        engine, lambda: engine.get("job") if engine.get("job")["status"].get("progress") == "3/12" else None
    )
    node = make.node(found, "a")
    assert node["phase"] == "Running"
    assert node["progress"] == "3/12"
    assert {"type": "PodRunning", "status": "True"} in found["status"]["conditions"]
    assert found["metadata"]["labels"]["workflows.argoproj.io/phase"] == "Running"
    (house.pod(found, "a") / "home" / "go").touch()
    assert finish(engine, make)["status"]["progress"] == "12/12"


def test_emissary_gone_means_pod_deleted_and_nothing_left_running(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.single("job", "echo $$; sleep 300"), secrets={})
    key = make.until(engine, lambda: [
        each["id"] for each in engine.get("job").get("status", {}).get("nodes", {}).values()
        if each["type"] == "Pod" and each["phase"] == "Running" and engine.logs("job", each["id"], 0)
    ])[0]  # fmt: skip
    child = psutil.Process(int(engine.logs("job", key, 0)))
    started = json.loads((house.folder("job") / "pods" / key / "started.json").read_text())
    psutil.Process(started["pid"]).kill()
    found = finish(engine, make)
    node = make.node(found, "a")
    assert (node["phase"], node["message"]) == ("Error", "pod deleted")
    assert "outputs" not in node
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_no_more_threads_than_this_machine_has_cores(house: Any, make: Any) -> None:
    engine = house.engine(cpus=2)
    for name, asked, given in (("many", "8", "2"), ("few", "1", "1")):
        container = {"env": [{"name": "OMP_NUM_THREADS", "value": asked}]}
        engine.submit(make.single(name, "echo $OMP_NUM_THREADS", container=container), secrets={})
        make.until(engine, lambda name=name: make.finished(engine.get(name)))
        node = make.node(engine.get(name), "a")
        assert engine.logs(name, node["id"], 0).decode() == f"{given}\n"


def test_memory_that_processes_share_counts_once(house: Any, make: Any) -> None:
    script = (
        "import multiprocessing, time\n"
        "kept = b'x' * (80 << 20)\n"
        "context = multiprocessing.get_context('fork')\n"
        "workers = [context.Process(target=time.sleep, args=(1,)) for _ in range(4)]\n"
        "[worker.start() for worker in workers]; [worker.join() for worker in workers]\n"
    )
    resources = {"limits": {"memory": "240Mi"}}
    container = {"command": ["python", "-c"], "args": [script], "resources": resources}
    _, found = run(house, make, make.single("job", "", container=container))
    assert make.node(found, "a")["phase"] == "Succeeded"
    record = json.loads((house.pod(found, "a") / "exit.json").read_text())
    assert 80 << 20 < record["peakMemory"] < 240 << 20


def test_memory_of_a_child_counts(house: Any, make: Any) -> None:
    script = "x = bytearray(200 << 20)\nimport signal; signal.pause()"
    resources = {"limits": {"memory": "100Mi"}}
    container = {
        "command": ["sh", "-c"], "args": ['python -c "$PROGRAM"; exit 0'], "resources": resources,
        "env": [{"name": "PROGRAM", "value": script}],
    }  # fmt: skip
    _, found = run(house, make, make.single("job", "", container=container))
    assert make.node(found, "a")["message"] == "main: OOMKilled (exit code 137)"


def test_deadline_is_kept_while_no_engine_looks(house: Any, make: Any, clock: Any) -> None:
    engine = house.engine(clock=clock)  # which stands still
    engine.submit(make.single("job", "sleep 300", activeDeadlineSeconds=1), secrets={})
    node = make.node(finish(engine, make), "a")
    assert node["message"] == "Pod was active on the node longer than the specified deadline"
    assert node["outputs"]["exitCode"] == "143"


def test_machine_going_down_is_a_preemption(house: Any, make: Any) -> None:
    engine = house.engine()
    again = 'test -f "$HOME/../../once" && exit 0; touch "$HOME/../../once"; echo up; sleep 300'
    manifest = make.single("job", again, retryStrategy={"limit": 1, "expression": "lastRetry.exitCode == '143'"})
    engine.submit(manifest, secrets={})
    key = make.until(engine, lambda: [
        each["id"] for each in (engine.get("job").get("status") or {}).get("nodes", {}).values()
        if each["displayName"] == "a(0)" and engine.logs("job", each["id"], 0)
    ])[0]  # fmt: skip
    started = json.loads((house.folder("job") / "pods" / key / "started.json").read_text())
    psutil.Process(started["pid"]).terminate()
    found = finish(engine, make)
    assert make.node(found, "a(0)")["message"] == "main: Error (exit code 143)"
    assert make.node(found, "a(1)")["phase"] == "Succeeded"


def test_pod_is_known_where_the_clock_was_set(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.single("job", 'while ! test -f "$HOME/go"; do sleep 0.02; done'), secrets={})
    folder = make.until(engine, lambda: [
        path.parent for path in (house.folder("job") / "pods").glob("*/started.json")])[0]  # fmt: skip
    started = json.loads((folder / "started.json").read_text())
    emissary.write_json(folder / "started.json", started | {"create_time": started["create_time"] - 3600})
    assert Pods().observe(folder).state == "running"
    (folder / "home" / "go").touch()
    assert make.node(finish(engine, make), "a")["phase"] == "Succeeded"


def test_pid_of_somebody_else_is_not_taken_for_the_pod(tmp_path: Path) -> None:
    mine = psutil.Process()
    folder = tmp_path / "pod"
    folder.mkdir()
    started = {"pid": mine.pid, "create_time": mine.create_time()}
    emissary.write_json(folder / "started.json", started)
    assert Pods().observe(folder).state == "running"
    emissary.write_json(folder / "started.json", started | {"create_time": mine.create_time() - 60})
    assert Pods().observe(folder).state == "vanished", "same pid, other start: the pod is gone"
    assert mine.is_running(), "and the stranger was left alone"


def test_launched_twice_runs_once(tmp_path: Path) -> None:
    folder = tmp_path / "pod"
    folder.mkdir()
    mark = tmp_path / "mark"
    plan = {
        "command": ["sh", "-c", f"echo once >> {mark}; sleep 0.3"],
        "env": {"PATH": os.environ["PATH"], emissary.MARKER: str(folder / "progress"), "TERMINATION_LOG": "/x"},
        "cwd": str(tmp_path),
        "grace": 1,
    }
    emissary.write_json(folder / "pod.json", plan)
    command = [sys.executable, "-P", emissary.__file__, str(folder)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [each.wait(20) for each in both] == [0, 0]
    assert subprocess.run(command, check=False).returncode == 0
    assert mark.read_text() == "once\n"
    assert json.loads((folder / "exit.json").read_text())["exitCode"] == 0


def test_emissary_is_light() -> None:
    script = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='x');"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'hera', 'pydantic', 'workflows', 'msgspec'}))"
    )
    shown = subprocess.run(
        [sys.executable, "-P", "-c", script, emissary.__file__], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "[]\n"
