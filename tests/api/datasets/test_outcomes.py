"""What a task leaves in the records, whatever its program said and however it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.datasets.worker import DatasetWorker
from api.db import Database
from api.models import Dataset
from api.settings import Settings
from tests.api.datasets.conftest import document, write_dataset
from tests.api.datasets.tasks import DATASETS, NEVER, Scripted, begin, told


@pytest.mark.usefixtures("pets")
class TestOutcomes(Scripted):
    @pytest.mark.parametrize(
        ("script", "code", "said"),
        [
            ("echo 'there is no task x' >&2; exit 2", "invalid", "there is no task x"),
            ("echo 'out: No space left on device' >&2; exit 75", "disk_full", "No space left"),
            ("echo 'read: Input/output error' >&2; exit 75", "temporary", "Input/output"),
            ("kill -KILL $$", "crashed", "SIGKILL"),
            ("echo no JSON at all", "crashed", "exit code 0"),
            ("echo '[]'; exit 1", "crashed", "exit code 1"),
        ],
    )
    def test_every_failure_has_a_reason_and_a_cure(
        self,
        client: TestClient,
        worker: DatasetWorker,
        program: Callable[[str], None],
        script: str,
        code: str,
        said: str,
    ) -> None:
        program(script)
        task = begin(client, "check")
        worker.step(NEVER)
        done = told(client, task)
        assert (done["state"], done["error"]["code"]) == ("failed", code)
        assert said in done["error"]["message"]
        assert done["error"]["cure"]
        assert client.get(f"{DATASETS}/pets").json()["check_report"] is None

    def test_the_cure_that_the_program_says_is_the_one_told(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None]
    ) -> None:
        program("echo 'writing out: No space left on device; free space or wait' >&2; exit 75")
        task = begin(client, "check")
        worker.step(NEVER)
        error = told(client, task)["error"]
        assert (error["message"], error["cure"]) == ("writing out: No space left on device", "free space or wait")

    def test_its_last_words_are_heard_however_much_it_said(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None]
    ) -> None:
        program("seq 200000 >&2; echo 'last words' >&2; exit 3")
        task = begin(client, "check")
        worker.step(NEVER)
        assert "last words" in told(client, task)["error"]["message"]

    def test_half_a_surrogate_pair_in_a_name_can_be_told(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None], tmp_path: Path
    ) -> None:
        problem = {"code": "image_missing", "message": "a\udcff.jpg \U0001f642", "cure": "put it there"}
        (tmp_path / "report").write_text(json.dumps({"errors": [problem], "warnings": []}))
        program(f"cat {tmp_path / 'report'}; exit 1")
        task = begin(client, "check")
        worker.step(NEVER)
        assert told(client, task)["result"]["errors"][0]["message"] == "a?.jpg \U0001f642"
        assert client.get(f"{DATASETS}/pets").status_code == 200

    def test_what_is_left_out_for_once_is_left_out_of_the_saved_split(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None], tmp_path: Path
    ) -> None:
        saved = {"ratio": [0.5, 0.5], "exclude_images": ["1"]}
        assert client.put(f"{DATASETS}/pets/split", json={"split": saved}).status_code == 200
        program(f"""cat split-request.json > {tmp_path / "asked"}; echo '{{"errors": []}}'""")
        begin(client, "split", split={"exclude_images": ["2"]})
        worker.step(NEVER)
        asked = json.loads((tmp_path / "asked").read_text())
        assert (asked["method"], asked["ratio"], asked["exclude_images"]) == ("auto", [0.5, 0.5], ["1", "2"])
        job = {"framework": "toy", "dataset": "pets", "split": {"exclude_images": ["2"]}}
        made = client.post("/api/v1/training/jobs", json=job).json()["spec"]["split"]
        assert (made["ratio"], made["exclude_images"]) == ([0.5, 0.5], ["1", "2"])

    def test_a_copy_that_a_record_names_is_not_removed(
        self, client: TestClient, worker: DatasetWorker, database: Database, settings: Settings
    ) -> None:
        copy = write_dataset(settings.resolved_home() / "storage" / "datasets" / "pets.twice", document())
        worker._forget(f"file://{copy}/")
        assert not copy.exists()
        write_dataset(copy, document())
        with database.write() as session:
            session.get_one(Dataset, "pets").uri = f"file://{copy}/"
        worker._forget(f"file://{copy}/")
        assert copy.exists()

    def test_a_million_findings_are_a_few_in_the_record(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None], tmp_path: Path
    ) -> None:
        problem = {"level": "error", "code": "box_empty", "message": "no area", "cure": "draw it", "image_id": 1}
        (tmp_path / "report").write_text(json.dumps({"errors": [problem] * 5000, "warnings": []}))
        program(f"cat {tmp_path / 'report'}; exit 1")
        task = begin(client, "check")
        worker.step(NEVER)
        report = told(client, task)["result"]
        assert (report["error_count"], len(report["errors"])) == (5000, 1000)
        (group,) = report["groups"]
        assert (group["code"], group["count"], len(group["first"])) == ("box_empty", 5000, 5)

    def test_a_dataset_replaced_meanwhile_is_not_described_by_the_old_one(
        self, client: TestClient, worker: DatasetWorker, program: Callable[[str], None], tmp_path: Path
    ) -> None:
        other = write_dataset(tmp_path / "other", document())
        statement = f"UPDATE datasets SET uri = 'file://{other}/'"
        home = worker._settings.resolved_home()
        script = f"import sqlite3; c = sqlite3.connect('{home}/tiphys.db'); c.execute(\"{statement}\"); c.commit()"
        (tmp_path / "replace.py").write_text(script)
        program(f"/usr/bin/env python3 {tmp_path / 'replace.py'}; echo '{{\"errors\": []}}'")
        task = begin(client, "check")
        worker.step(NEVER)
        assert told(client, task)["error"]["code"] == "replaced"
        assert client.get(f"{DATASETS}/pets").json()["check_report"] is None
