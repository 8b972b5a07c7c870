"""Tasks of datasets: begun, joined, followed, cancelled, taken up again, and what they leave behind."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient

from api.datasets.worker import KEEP_FOR, DatasetWorker
from api.db import Database
from api.models import DatasetTask
from api.settings import SOURCE, Settings
from tests.api.datasets.conftest import document
from tests.api.datasets.tasks import DATASETS, NEVER, TASKS, Scripted, begin, told
from tests.api.factories import Clock, create_dataset

real = pytest.mark.skipif(
    not (SOURCE / ".venvs" / "steps" / "bin" / "python").exists(), reason="the steps' environment is not set up"
)


def fetched(client: TestClient, task: dict[str, Any], name: str) -> bytes:
    (made,) = [output for output in told(client, task)["outputs"] if output["name"] == name]
    answer = client.get(f"{TASKS}/{task['id']}/outputs/{name}")
    assert answer.headers["x-content-sha256"] == made["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert answer.headers["content-disposition"].startswith("attachment")
    assert len(answer.content) == made["size"]
    return answer.content


@real
@pytest.mark.usefixtures("pets")
class TestRealProgram:
    def test_a_check_is_worked_off_and_seen_on_the_dataset(self, client: TestClient, worker: DatasetWorker) -> None:
        task = begin(client, "check")
        assert (task["state"], task["progress"]) == ("pending", None)
        assert worker.step(NEVER)
        done = told(client, task)
        assert (done["state"], done["error"]) == ("succeeded", None)
        assert done["result"]["counts"]["images"] == 4
        assert done["progress"]["done"] == done["progress"]["total"] > 0
        assert client.get(f"{DATASETS}/pets").json()["check_report"] == done["result"]
        assert not worker.step(NEVER)

    def test_who_asks_for_the_same_joins(self, client: TestClient, worker: DatasetWorker) -> None:
        first = begin(client, "check")
        assert begin(client, "check", 200)["id"] == first["id"]
        assert begin(client, "check", target="yolo")["id"] != first["id"]
        assert worker.step(NEVER)
        assert worker.step(NEVER)
        assert begin(client, "check")["id"] != first["id"]

    def test_a_conversion_is_downloaded_and_stands_by_itself(self, client: TestClient, worker: DatasetWorker) -> None:
        task = begin(client, "convert", to="yolo", split={"ratio": [0.5, 0.5]})
        worker.step(NEVER)
        done = told(client, task)
        assert done["state"] == "succeeded", done["error"]
        assert done["result"]["snapshot_id"] is None, "only what a job trained on is a snapshot"
        with zipfile.ZipFile(io.BytesIO(fetched(client, task, "pets-yolo.zip"))) as archive:
            names = archive.namelist()
            assert "path:" not in archive.read("data.yaml").decode()
        assert sum(name.startswith("images/train/") for name in names) == 2
        assert sum(name.startswith("images/val/") for name in names) == 2

    def test_an_export_is_the_same_dataset(self, client: TestClient, worker: DatasetWorker, tmp_path: Path) -> None:
        begin(client, "check")
        task = begin(client, "export")
        worker.step(NEVER)
        worker.step(NEVER)
        assert told(client, task)["state"] == "succeeded", told(client, task)["error"]
        with zipfile.ZipFile(io.BytesIO(fetched(client, task, "pets-dice.zip"))) as archive:
            archive.extractall(tmp_path / "copy")
        client.post(DATASETS, json={"id": "copy", "path": str(tmp_path / "copy")})
        compared = begin(client, "diff", other="copy")
        worker.step(NEVER)
        assert told(client, compared)["result"]["same"], told(client, compared)["result"]

    def test_a_sheet_of_samples(self, client: TestClient, worker: DatasetWorker) -> None:
        task = begin(client, "show")
        worker.step(NEVER)
        assert [c["name"] for c in told(client, task)["result"]["classes"]] == ["cat", "dog"]
        assert fetched(client, task, "sheet.png").startswith(b"\x89PNG")

    def test_a_split_that_is_saved_is_the_jobs(self, client: TestClient, worker: DatasetWorker) -> None:
        task = begin(client, "split", split={"ratio": [0.5, 0.5], "seed": 7}, save=True)
        worker.step(NEVER)
        done = told(client, task)
        assert done["result"]["split"]["counts"]["train"] == 2
        assert "ids" not in done["result"]
        assert len(json.loads(fetched(client, task, "split.json"))["ids"]["train"]) == 2
        job = {"framework": "toy", "dataset": "pets"}
        plan = client.post("/api/v1/training/jobs", params={"dry_run": True}, json=job).json()["plan"]
        assert (plan["spec"]["split"]["seed"], plan["spec"]["split"]["ratio"]) == (7, [0.5, 0.5])
        own = client.post("/api/v1/training/jobs", json=job | {"split": {"ratio": [0.7, 0.3]}}).json()
        assert own["spec"]["split"]["ratio"] == [0.7, 0.3]
        assert client.put(f"{DATASETS}/pets/split", json={"split": None}).json()["split"] is None
        assert client.post("/api/v1/training/jobs", json=job).json()["spec"]["split"]["method"] == "use_dataset"

    def test_what_cannot_be_converted_is_the_datasets_fault(
        self, client: TestClient, worker: DatasetWorker, pets: Path
    ) -> None:
        broken = document()
        broken["annotations"][0]["category_id"] = 99
        (pets / "annotations.json").write_text(json.dumps(broken))
        task = begin(client, "convert", to="yolo")
        worker.step(NEVER)
        done = told(client, task)
        assert (done["state"], done["error"]["code"]) == ("failed", "dataset_error")
        assert "99" in done["error"]["message"]
        assert "tiphys dataset check pets" in done["error"]["cure"]
        assert done["outputs"] == []

    def test_a_repaired_copy_takes_the_datasets_place(
        self, client: TestClient, worker: DatasetWorker, pets: Path, settings: Settings
    ) -> None:
        broken = document()
        broken["annotations"][0]["bbox"] = [30, 2, 10, 10]
        (pets / "annotations.json").write_text(json.dumps(broken))
        before = {path: path.read_bytes() for path in pets.rglob("*") if path.is_file()}
        task = begin(client, "fix", register=True)
        worker.step(NEVER)
        done = told(client, task)
        assert done["state"] == "succeeded", done["error"]
        assert done["result"]["fixes"]
        row = client.get(f"{DATASETS}/pets").json()
        stored = settings.resolved_home() / "storage" / "datasets" / f"pets.{task['id']}"
        assert (row["source"], row["origin"], row["uri"]) == ("repaired", f"file://{pets}/", f"file://{stored}/")
        assert row["check_report"]["errors"] == []
        assert not any(path.is_symlink() for path in stored.rglob("*"))
        assert {path: path.read_bytes() for path in before} == before, "the dataset itself is never touched"
        again = client.post(DATASETS, json={"id": "pets", "path": str(pets)})
        assert (again.status_code, again.json()["source"]) == (201, "repaired")
        assert client.delete(f"{DATASETS}/pets").status_code == 204
        assert not stored.exists()
        assert pets.exists()

    def test_a_repair_that_was_killed_while_it_was_kept_is_begun_anew(
        self, client: TestClient, worker: DatasetWorker, pets: Path, settings: Settings
    ) -> None:
        broken = document()
        broken["annotations"][0]["bbox"] = [30, 2, 10, 10]
        (pets / "annotations.json").write_text(json.dumps(broken))
        task = begin(client, "fix", register=True)
        datasets = settings.resolved_home() / "storage" / "datasets"
        for left in (f"pets.{task['id']}", f".pets.{task['id']}.part"):
            (datasets / left).mkdir(parents=True)
            (datasets / left / "stale.jpg").touch()
        worker.step(NEVER)
        assert told(client, task)["state"] == "succeeded", told(client, task)["error"]
        assert not list(datasets.rglob("stale.jpg"))
        assert [path.name for path in datasets.iterdir()] == [f"pets.{task['id']}"]


@pytest.mark.usefixtures("pets")
class TestScripted(Scripted):
    def test_it_is_cancelled_with_all_it_started(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None], settings: Settings
    ) -> None:
        program("""sleep 300 & echo $! > child; echo '{"phase":"headers","done":3,"total":9}' >&2; wait""")
        task = begin(client, "check")
        thread = threading.Thread(target=worker.step, args=(NEVER,))
        thread.start()
        until(lambda: (told(client, task)["progress"] or {}).get("done") == 3)
        scratch = settings.resolved_home() / "scratch" / "datasets" / task["id"]
        child = int((scratch / "child").read_text())
        assert client.delete(f"{TASKS}/{task['id']}").json()["cancel_requested"]
        thread.join(30)
        assert told(client, task)["state"] == "cancelled"
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        assert not scratch.exists()
        assert client.delete(f"{TASKS}/{task['id']}").status_code == 200, "which forgets it"
        assert client.get(f"{TASKS}/{task['id']}").status_code == 404

    def test_one_that_has_not_begun_is_cancelled_at_once(self, client: TestClient, worker: DatasetWorker) -> None:
        task = begin(client, "check")
        assert client.delete(f"{TASKS}/{task['id']}").json()["state"] == "cancelled"
        assert not worker.step(NEVER)

    def test_an_ended_platform_leaves_it_to_the_next(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None]
    ) -> None:
        program("""echo '{"phase":"headers","done":3,"total":9}' >&2; sleep 300""")
        task, stop = begin(client, "check"), threading.Event()
        thread = threading.Thread(target=worker.serve, args=(stop,))
        thread.start()
        until(lambda: told(client, task)["progress"] is not None)
        stop.set()
        thread.join(30)
        assert told(client, task)["state"] == "running"
        program("""echo '{"errors": [], "warnings": []}'""")
        later = begin(client, "check", target="yolo")
        assert worker.step(NEVER)
        assert told(client, task)["state"] == "succeeded", "what was begun comes first"
        assert told(client, later)["state"] == "pending"

    def test_what_a_killed_platform_left_running_is_ended(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None], settings: Settings
    ) -> None:
        task = begin(client, "check")
        scratch = settings.resolved_home() / "scratch" / "datasets" / task["id"]
        scratch.mkdir(parents=True)
        (scratch / "half-made").touch()
        with subprocess.Popen(["sleep", "300"], start_new_session=True) as orphan:
            noted = {"pid": orphan.pid, "create_time": psutil.Process(orphan.pid).create_time()}
            (scratch / "process.json").write_text(json.dumps(noted))
            program("""test ! -e half-made && echo '{"errors": [], "warnings": []}'""")
            worker.step(NEVER)
            orphan.wait(30)
        assert told(client, task)["state"] == "succeeded"

    def test_the_order_of_words_makes_no_other_task(self, client: TestClient) -> None:
        first = begin(client, "split", split={"splits": {"1": "train", "2": "val"}})
        assert begin(client, "split", 200, split={"splits": {"2": "val", "1": "train"}})["id"] == first["id"]

    def test_old_tasks_are_forgotten_with_what_they_made(
        self,
        client: TestClient,
        worker: DatasetWorker,
        program: Callable[[str], None],
        clock: Clock,
        settings: Settings,
    ) -> None:
        program("""echo x > report.html; echo '{"errors": [], "warnings": []}'""")
        task = begin(client, "check")
        worker.step(NEVER)
        made = settings.resolved_home() / "storage" / "exports" / "dataset-pets" / task["id"]
        assert (made / "report.html").read_text() == "x\n"
        worker.sweep()
        assert made.exists()
        clock.advance(KEEP_FOR.total_seconds() + 1)
        worker.sweep()
        assert not made.exists()
        assert client.get(f"{TASKS}/{task['id']}").status_code == 404

    def test_a_dataset_at_work_is_not_deleted(self, client: TestClient, database: Database) -> None:
        with database.write() as session:
            create_dataset(session, id="other")
        task = begin(client, "diff", other="other")
        for id in ("pets", "other"):
            answer = client.delete(f"{DATASETS}/{id}")
            assert answer.status_code == 409
            assert task["id"] in answer.json()["detail"]
        client.delete(f"{TASKS}/{task['id']}")
        assert client.delete(f"{DATASETS}/other").status_code == 204
        assert client.delete(f"{DATASETS}/pets").status_code == 204
        with database.read() as session:
            assert session.get(DatasetTask, task["id"]) is None


@pytest.mark.parametrize(
    ("kind", "options", "field"),
    [
        ("chekc", {}, "kind"),
        ("check", {"colour": "red"}, "options.colour"),
        ("convert", {}, "options.to"),
        ("convert", {"to": "voc"}, "options.to"),
        ("diff", {}, "options.other"),
        ("split", {"save": True}, "options.split"),
        ("split", {"split": {"ratio": [0.9, 0.9]}}, "options.split.ratio"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(
    client: TestClient, pets: Path, kind: str, options: dict[str, Any], field: str
) -> None:
    answer = client.post(TASKS, json={"kind": kind, "options": options})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert answer.json()["cure"]


def test_unknown_ones_are_named(client: TestClient, pets: Path) -> None:
    assert client.post(f"{DATASETS}/pet/tasks", json={"kind": "check"}).status_code == 404
    assert client.post(TASKS, json={"kind": "diff", "options": {"other": "pest"}}).status_code == 404
    for path in ("nope", "nope/outputs/x"):
        assert client.get(f"{TASKS}/{path}").status_code == 404
    task = begin(client, "check")
    answer = client.get(f"{TASKS}/{task['id']}/outputs/report.html")
    assert (answer.status_code, "ended" in answer.json()["cure"]) == (404, True)
    assert [item["id"] for item in client.get(TASKS).json()["items"]] == [task["id"]]


def until(holds: Callable[[], bool]) -> None:
    """Looks until something holds; for processes, whose time is their own."""
    looked = threading.Event()
    for _ in range(600):
        if holds():
            return
        looked.wait(0.05)
    raise AssertionError("it never came to that")
