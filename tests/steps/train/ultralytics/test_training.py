"""A whole training, heard by the platform and found in the storage; the same again after every kind of interruption."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.steps.train.ultralytics.conftest import NAMES, Job, inspect

pytestmark = [pytest.mark.trains, pytest.mark.timeout(900)]  # on a busy machine; half a minute on an idle one
EPOCHS = 3
AUDIT = """
import sys
def hear(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        with open({path!r}, "a") as log:
            print(event, arguments[1] if event == "socket.connect" else arguments[:2], file=log)
sys.addaudithook(hear)
"""


@pytest.fixture(scope="module")
def done(new_job: Callable[..., Job]) -> Job:
    """A job that trained to its end without interruption, with every socket call written down."""
    job = new_job(epochs=EPOCHS)
    job.before = AUDIT.format(path=str(job.root.parent / f"{job.root.name}-sockets"))
    job.more["MLFLOW_TRACKING_URI"] = (job.root / "mlruns").as_uri()
    assert job.train() == 0, job.output[-3000:]
    return job


def rows(job: Job) -> list[dict[str, str]]:
    """The framework's own record of every epoch, wall-clock time left out."""
    with (job.run / "results.csv").open(encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "time"} for row in csv.DictReader(file)]


def weights(job: Job) -> str:
    """A digest over the weights, the averaged weights and the optimizer, as they stand at the end."""
    return inspect(
        job,
        "import hashlib\n"
        "c = torch.load(run / 'last.pt', weights_only=False); h = hashlib.sha256()\n"
        "state = [*c['tiphys']['model'].values(), *c['tiphys']['ema'].values()]\n"
        "state += [t for s in c['optimizer']['state'].values() for t in s.values()]\n"
        "[h.update(t.numpy().tobytes()) for t in state]\n"
        "print(json.dumps([len(state), h.hexdigest()]))",
    )


def first_epoch(call: str, body: dict[str, Any]) -> bool:
    return call == "heartbeat" and body.get("epoch") == 1 and "val/mAP50" in body["metrics"]


def test_the_platform_hears_every_epoch(done: Job) -> None:
    epochs = done.platform.epochs()
    assert [(body["epoch"], body["total_epochs"]) for body in epochs] == [(n, EPOCHS) for n in range(1, EPOCHS + 1)]
    assert epochs[-1]["progress"] == 100
    losses = {f"{split}/{name}_loss" for split in ("train", "val") for name in ("box", "cls", "dfl")}
    values = {"val/precision", "val/recall", "val/mAP50", "val/mAP50-95", "lr", "epoch_seconds"}
    assert set(epochs[0]["metrics"]) == losses | values
    # What the heartbeat says is what the framework measured.
    assert epochs[1]["metrics"]["train/box_loss"] == pytest.approx(float(rows(done)[1]["train/box_loss"]), rel=1e-4)
    progress = [body["progress"] for body in done.platform.of("heartbeat") if "progress" in body]
    assert progress == sorted(progress)


def test_the_platform_hears_the_story_in_order(done: Job) -> None:
    kinds = [body["event_type"] for body in done.platform.events()]
    told = ["dataset_loaded", "model_initialized", "training_started", "checkpoint_saved", "training_complete"]
    assert [kind for kind in dict.fromkeys(kinds) if kind in told] == told
    [end] = done.platform.of("done")
    assert end["status"] == "succeeded"
    assert end["epochs_completed"] == EPOCHS
    best = max(done.platform.epochs(), key=lambda body: (body["metrics"]["val/mAP50-95"], body["epoch"]))
    assert end["final_metrics"] == {k: v for k, v in best["metrics"].items() if k != "epoch_seconds"}
    assert done.platform.calls[-1][0] == "done"


def test_what_was_recorded_lies_in_the_storage(done: Job) -> None:
    for kind in ("best", "last"):
        data = [e["data"] for e in done.platform.events("checkpoint_saved") if e["data"]["kind"] == kind][-1]
        stored = Path(data["uri"].removeprefix("file://"))
        content = stored.read_bytes()
        assert stored == done.stored / "checkpoints" / f"{kind}.pt"
        assert (data["size"], data["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert content == (done.run / f"{kind}.pt").read_bytes()
        assert "val/mAP50-95" in data["metrics"]
    classes = json.loads((done.stored / "checkpoints" / "classes.json").read_text(encoding="utf-8"))["classes"]
    assert classes == [{"index": i, "id": 3 + 4 * i, "name": name} for i, name in enumerate(NAMES)]
    assert (done.stored / "logs" / "results.csv").read_bytes() == (done.run / "results.csv").read_bytes()
    with Image.open(done.stored / "logs" / "plots" / "predictions.jpg") as picture:
        assert min(picture.size) > 800
    outputs = done.root / "outputs" / "train"
    assert (outputs / "epochs").read_text() == str(EPOCHS)
    assert 0 <= float((outputs / "best_metric").read_text()) <= 1
    assert Path(done.environment()["ARGO_PROGRESS_FILE"]).read_text().strip() == f"{EPOCHS}/{EPOCHS}"


def test_best_predicts_and_last_resumes(done: Job) -> None:
    found = inspect(
        done,
        "from ultralytics import YOLO\n"
        "best, last = (torch.load(run / f, weights_only=False) for f in ('best.pt', 'last.pt'))\n"
        "image = str(run.parent / 'converted/images/val/000.png')\n"
        "seen = YOLO(run / 'best.pt').predict(image, imgsz=64, verbose=False)\n"
        "print(json.dumps([list(seen[0].names.values()), best['optimizer'], last['epoch'], bool(last['optimizer'])]))",
    )
    assert found == [list(NAMES), None, EPOCHS - 1, True]


def test_nothing_but_the_platform_is_called(done: Job) -> None:
    log = (done.root.parent / f"{done.root.name}-sockets").read_text(encoding="utf-8").splitlines()
    assert log
    assert [line for line in log if f"'127.0.0.1', {done.platform.port}" not in line] == []


def test_the_dataset_stays_as_it_was(done: Job, new_job: Callable[..., Job]) -> None:
    def files(job: Job) -> list[str]:
        return sorted(str(path.relative_to(job.root)) for path in (job.root / "converted").rglob("*"))

    assert files(done) == files(new_job())  # no label cache above all


def test_mlflow_keeps_the_metrics(done: Job) -> None:
    [end] = done.platform.of("done")
    assert end["mlflow_run_id"]
    uri = done.environment()["MLFLOW_TRACKING_URI"]
    found = inspect(
        done,
        "from mlflow.tracking import MlflowClient\n"
        "import os; os.environ['MLFLOW_ALLOW_FILE_STORE'] = 'true'\n"
        f"c = MlflowClient({uri!r}); r = c.get_run({end['mlflow_run_id']!r})\n"
        "h = c.get_metric_history(r.info.run_id, 'train/box_loss')\n"
        "print(json.dumps([r.info.run_name, r.info.status, c.get_experiment(r.info.experiment_id).name, len(h)]))",
    )
    assert found == ["job-abcd2345", "FINISHED", "project-none", EPOCHS]


def test_a_killed_run_ends_as_if_it_had_never_been_killed(done: Job, new_job: Callable[..., Job]) -> None:
    job = new_job(epochs=EPOCHS)
    assert job.train_until(first_epoch, signal.SIGKILL) == -signal.SIGKILL
    interrupted = len(rows(job))
    assert interrupted < EPOCHS
    job.more["MLFLOW_TRACKING_URI"] = "http://me:pass-phrase@127.0.0.1:9"  # nobody listens there, and nobody minds
    assert job.train() == 0, job.output[-3000:]
    assert rows(job) == rows(done)
    assert weights(job) == weights(done)
    assert job.platform.of("done")[-1]["final_metrics"] == done.platform.of("done")[-1]["final_metrics"]
    assert {body["epoch"] for body in job.platform.epochs()} == {1, 2, 3}
    assert "pass-phrase" not in json.dumps(job.platform.events("mlflow_unavailable")[0])

    # Once more: all is done, which is told again; a torn file is seen, and the storage's taken instead.
    content = (job.run / "last.pt").read_bytes()
    (job.run / "last.pt").write_bytes(content[: len(content) // 2])
    heard = len(job.platform.calls)
    assert job.train() == 0, job.output[-3000:]
    calls = job.platform.calls[heard:]
    kinds = [body["event_type"] for call, body in calls if call == "event"]
    assert {"checkpoint_unusable", "nothing_to_train"} <= set(kinds)
    assert "training_started" not in kinds
    assert calls[-1][1]["final_metrics"] == done.platform.of("done")[-1]["final_metrics"]


def test_sigterm_keeps_the_last_epoch_and_another_machine_goes_on(done: Job, new_job: Callable[..., Job]) -> None:
    job = new_job(epochs=EPOCHS)
    assert job.train_until(first_epoch, signal.SIGTERM) == 143, job.output[-3000:]
    assert job.platform.of("done") == []  # it is not over
    assert (job.stored / "checkpoints" / "last.pt").read_bytes() == (job.run / "last.pt").read_bytes()
    shutil.rmtree(job.run)
    job.more["RESUME"] = "1"
    assert job.train() == 0, job.output[-3000:]
    assert job.platform.events("resumed")
    assert rows(job) == rows(done)
    assert weights(job) == weights(done)


def test_cancelling_ends_cleanly_with_a_checkpoint(new_job: Callable[..., Job]) -> None:
    job = new_job(epochs=200)
    process = job.start()
    job.platform.wait_for(first_epoch, process=process)
    job.platform.cancel = True
    assert job.finish(process) == 0, job.output[-3000:]
    [end] = job.platform.of("done")
    assert end["status"] == "cancelled"
    assert end["epochs_completed"] == len(rows(job)) < 200
    assert (job.stored / "checkpoints" / "last.pt").read_bytes() == (job.run / "last.pt").read_bytes()
    assert end["artifacts"]["last_checkpoint"].endswith("/checkpoints/last.pt")


def test_the_best_epoch_follows_the_primary_metric(new_job: Callable[..., Job]) -> None:
    job = new_job(epochs=2, batch=64, config={"primary_metric": "val/cls_loss"})
    assert job.train() == 0, job.output[-3000:]
    losses = [body["metrics"]["val/cls_loss"] for body in job.platform.epochs()]
    [end] = job.platform.of("done")
    assert end["final_metrics"]["val/cls_loss"] == min(losses)
    assert inspect(
        job, "print(torch.load(run / 'best.pt', weights_only=False)['tiphys']['epoch'])"
    ) == 1 + losses.index(min(losses))
    assert job.platform.events("batch_larger_than_dataset")[0]["level"] == "warning"
