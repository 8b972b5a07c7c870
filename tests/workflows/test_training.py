"""From a job to its manifest."""

from __future__ import annotations

import contextvars
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hera.workflows import Workflow

from tests.workflows.parts import secret_keys, template, variables
from workflows.attempt import Run
from workflows.keys import StorageTarget
from workflows.manifest import build, to_yaml
from workflows.spec import JobSpec
from workflows.training import training_workflow

CONTRACT = json.loads((Path(__file__).parents[1] / "contract" / "v1" / "environment.json").read_text("utf-8"))
Make = Callable[..., Any]


def test_the_steps_follow_one_another(job: Make, attempt: Make) -> None:
    manifest = build(training_workflow(job(), attempt()))
    tasks = template(manifest, "main")["dag"]["tasks"]
    assert [(task["name"], task.get("depends")) for task in tasks] == [
        ("download", None),
        ("convert", "download"),
        ("train", "convert"),
        ("upload", "train"),
        ("report", "upload"),
    ]
    assert manifest["metadata"]["name"] == "train-7k3mqz2x-1"
    assert manifest["spec"]["onExit"] == "on-exit"
    assert template(manifest, "train")["container"]["command"] == ["python", "-m", "steps.train.ultralytics"]
    assert template(manifest, "train")["container"]["image"] == "tiphys/trainer-ultralytics:0.1.0"
    assert template(manifest, "convert")["container"]["args"] == ["--target", "yolo"]
    assert template(manifest, "upload")["container"]["args"] == ["--require-checkpoint"]
    assert template(manifest, "on-exit")["container"]["args"][0] == "--on-exit"


@pytest.mark.parametrize(
    "storage",
    [
        StorageTarget("file", "b", root="/data"),
        StorageTarget("minio", "b", endpoint="http://m"),
        StorageTarget("r2", "b", endpoint="http://r"),
        StorageTarget("s3", "b", endpoint="http://s"),
    ],
    ids=lambda storage: storage.type,
)
def test_the_variables_are_the_contracts(job: Make, attempt: Make, storage: StorageTarget) -> None:
    run = attempt(
        storage=storage,
        resume=True,
        snapshot_id="snap_1",
        dataset_version_hash="dsv1:0",
        mlflow_tracking_uri="http://m",
        cache_claim="fast-disk",
        cache_limit="9Gi",
    )
    manifest = build(training_workflow(job(project="p1"), run))
    pinned = CONTRACT["storage"][storage.type]
    known = {*CONTRACT["required"], *CONTRACT["optional"], *pinned["required"], *pinned["optional"]}
    for step in ("download", "convert", "train", "upload", "report", "on-exit"):
        given, secrets = variables(manifest, step), secret_keys(manifest, step)
        assert {*given, *secrets} <= known
        assert {*CONTRACT["required"], *pinned["required"]} <= {*given, *secrets}
        assert set(secrets) <= set(CONTRACT["secret"])
        assert not set(given) & set(CONTRACT["secret"])
        assert {reference["name"] for reference in secrets.values()} == {"train-7k3mqz2x-1"}
        assert all(reference["key"] == name for name, reference in secrets.items())
        assert list(given) == sorted(given)
    assert set(secret_keys(manifest)) == set(run.secret_variables)
    assert all(variables(manifest)[name].endswith("/") for name in CONTRACT["uris_ending_in_slash"])


def test_the_settings_reach_the_trainer_twice_alike(job: Make, attempt: Make) -> None:
    spec = job(
        hyperparameters={"epochs": 3, "learning_rate": 1e-5, "image_size": 96},
        resources={"gpu": 1, "cpu": 2.5},
        advanced_config={"nbs": 16},
    )
    given = variables(build(training_workflow(spec, attempt())))
    config = json.loads(given["CONFIG"])
    assert set(config) <= set(CONTRACT["config_keys"])
    assert (given["EPOCHS"], given["BATCH_SIZE"], given["IMAGE_SIZE"]) == ("3", "16", "96")
    assert float(given["LEARNING_RATE"]) == config["learning_rate"] == 1e-5
    assert given["DEVICE"] == config["device"] == "0"
    assert given["OMP_NUM_THREADS"] == "3"
    assert config["advanced_config"] == {"nbs": 16}
    assert config["primary_metric"] == "val/mAP50-95"
    assert given["CHECKPOINTS_URI"] == "s3://bucket/checkpoints/test-jobs/job_7k3mqz2x/"
    assert given["PRETRAINED_URI"] == "s3://bucket/pretrained_weights/ultralytics/yolo11n.pt"


def test_weights_may_come_from_outside_where_the_platform_says_so(job: Make, attempt: Make) -> None:
    source = "https://weights.example/{framework}/{model}.{ext}?{other}"
    given = variables(build(training_workflow(job(), attempt(pretrained_source=source))))
    assert given["PRETRAINED_SOURCE"] == "https://weights.example/ultralytics/yolo11n.pt?{other}"
    assert "PRETRAINED_SOURCE" not in variables(build(training_workflow(job(), attempt())))


def test_a_dry_run_has_no_one_to_tell(job: Make, attempt: Make) -> None:
    manifest = build(training_workflow(job(), attempt(backend_url=None, storage=StorageTarget("file", "b", root="/d"))))
    for step in ("train", "report"):
        assert "BACKEND_BASE_URL" not in variables(manifest, step)
        assert secret_keys(manifest, step) == {}


def test_training_gets_what_was_asked_for_and_the_others_no_gpu(job: Make, attempt: Make) -> None:
    spec = job(resources={"gpu": 1, "cpu": 0.5, "memory": "6Gi", "shared_memory": "2Gi", "workspace": "7Gi"})
    manifest = build(training_workflow(spec, attempt()))
    train = template(manifest, "train")
    amounts = {"cpu": "500m", "memory": "6Gi", "nvidia.com/gpu": "1"}
    assert train["container"]["resources"] == {"limits": amounts, "requests": amounts}
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in train["volumes"]
    assert manifest["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "7Gi"
    for step in ("download", "convert", "upload", "report", "on-exit"):
        assert "nvidia.com/gpu" not in json.dumps(template(manifest, step))
    own = job(framework="custom", model="own", image="example/own:1", command=["train"], resources={"gpu": 2})
    assert variables(build(training_workflow(own, attempt())))["DEVICE"] == "0,1"
    cpu = build(training_workflow(job(resources={"gpu": 0}), attempt()))
    assert "nvidia.com/gpu" not in json.dumps(cpu)
    assert variables(cpu)["DEVICE"] == "cpu"


def test_every_output_has_a_default(job: Make, attempt: Make) -> None:
    manifest = build(training_workflow(job(), attempt()))
    names: dict[str, list[str]] = {}
    for item in manifest["spec"]["templates"]:
        for output in (item.get("outputs") or {}).get("parameters", []):
            assert output["valueFrom"]["default"]
            assert output["valueFrom"]["path"] == f"/workspace/outputs/{item['name']}/{output['name']}"
            names.setdefault(item["name"], []).append(output["name"])
    assert names == {
        "download": ["images", "bytes"],
        "convert": ["classes", "images_train", "images_val", "snapshot_id"],
        "train": ["best_metric", "epochs"],
        "upload": ["checkpoint_uri"],
    }


def test_a_custom_job_runs_its_own_program(job: Make, attempt: Make) -> None:
    own = {"framework": "custom", "model": None, "image": "own/trainer:3", "command": ["sh", "-c", "train $JOB_ID"]}
    manifest = build(training_workflow(job(**own), attempt()))
    train = template(manifest, "train")
    assert (train["container"]["image"], train["container"]["command"]) == ("own/trainer:3", own["command"])
    assert template(manifest, "convert")["container"]["args"] == ["--target", "yolo"]
    assert "args" not in template(manifest, "upload")["container"]
    assert "PRETRAINED_URI" not in variables(manifest)
    other = build(training_workflow(job(**own, task="pose"), attempt()))
    assert template(other, "convert")["container"]["args"] == ["--target", "none"]


@pytest.mark.parametrize("target", ["coco", "yolo", "none"])
def test_a_custom_job_says_how_it_reads_the_dataset(job: Make, attempt: Make, target: str) -> None:
    own = {"framework": "custom", "model": None, "image": "own/trainer:3", "command": ["train"], "convert": target}
    manifest = build(training_workflow(job(**own), attempt()))
    assert template(manifest, "convert")["container"]["args"] == ["--target", target]


def test_the_cache_is_one_claim_that_training_only_reads(job: Make, attempt: Make) -> None:
    manifest = build(training_workflow(job(), attempt(cache_claim="fast-disk", cache_limit="9Gi")))
    volume = {"name": "cache", "persistentVolumeClaim": {"claimName": "fast-disk"}}
    for step, read_only in (("download", False), ("convert", False), ("train", True), ("report", False)):
        assert volume in template(manifest, step)["volumes"]
        mount = {"name": "cache", "mountPath": "/cache"} | ({"readOnly": True} if read_only else {})
        assert mount in template(manifest, step)["container"]["volumeMounts"]
        assert variables(manifest, step)["CACHE_DIR"] == "/cache"
        assert variables(manifest, step)["CACHE_LIMIT"] == "9Gi"
    assert volume in template(manifest, "on-exit")["volumes"], "which gives back what the job held of it"
    assert "cache" not in json.dumps(template(manifest, "upload")).lower()
    bare = build(training_workflow(job(), attempt()))
    assert "/cache" not in json.dumps(bare)
    assert variables(bare)["SNAPSHOTS_URI"] == "s3://bucket/snapshots/"


def test_people_find_it_in_the_ui(job: Make, attempt: Make) -> None:
    spec = job(name="digits *first*", project="p1", labels={"team": "Vision & Co.", "empty": "한국어"})
    manifest = build(training_workflow(spec, attempt(attempt=2, user="ann", job_url="http://api/jobs/7k3mqz2x")))
    metadata = manifest["metadata"]
    assert metadata["labels"]["tiphys/job-id"] == "7k3mqz2x"
    assert metadata["labels"]["label.tiphys/team"] == "Vision-Co"
    assert "label.tiphys/empty" not in metadata["labels"]
    title = metadata["annotations"]["workflows.argoproj.io/title"]
    assert title == r"digits \*first\*: yolo11n on digits (job 7k3mqz2x, attempt 2)"
    assert "[job 7k3mqz2x](http://api/jobs/7k3mqz2x)" in metadata["annotations"]["workflows.argoproj.io/description"]
    shown = [
        item["annotations"]["workflows.argoproj.io/display-name"]
        for item in manifest["spec"]["templates"]
        if "container" in item
    ]
    assert shown == [
        "download-digits",
        "convert-to-yolo",
        "train-yolo11n",
        "upload-checkpoints",
        "report-result",
        "report-at-exit",
    ]


def test_nothing_runs_as_root_and_nothing_stays_for_ever(job: Make, attempt: Make) -> None:
    spec = build(training_workflow(job(limits={"total": "2h"}), attempt()))["spec"]
    assert spec["activeDeadlineSeconds"] == 7200
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["volumeClaimGC"] == {"strategy": "OnWorkflowCompletion"}
    assert spec["ttlStrategy"]["secondsAfterCompletion"] > 24 * 3600
    assert "automountServiceAccountToken" not in spec, "the executor needs it to report outputs"


def test_a_users_words_never_become_references(job: Make, attempt: Make) -> None:
    own = {"framework": "custom", "model": None, "image": "own:1", "command": ["t"]}
    spec = job(**own, advanced_config={"prompt": "{{workflow.failures}} $(CALLBACK_TOKEN)"})
    text = to_yaml(build(training_workflow(spec, attempt())))
    assert set(re.findall(r"{{(.*?)}}", text)) == {"workflow.status", "workflow.failures"}
    assert text.count("workflow.failures}}") == 1 + text.count("u007bworkflow.failures}}")
    assert "$(" not in text


def test_the_same_job_gives_the_same_text(job: Make, attempt: Make) -> None:
    first = to_yaml(build(training_workflow(job(), attempt())))
    assert to_yaml(build(training_workflow(job().resolved(), attempt()))) == first
    assert to_yaml(json.loads(json.dumps(build(training_workflow(job(), attempt())), sort_keys=True))) == first


def test_concurrent_builds_do_not_mix(attempt: Make, job: Make) -> None:
    def manifest(n: int) -> str:
        run: Run = attempt(job_id=f"abcdefg{n % 8 + 2}", trace_id=f"{n:032x}")
        spec: JobSpec = job(hyperparameters={"epochs": n + 1})
        return to_yaml(build(training_workflow(spec, run)))

    # A build in this context first, and copies of it below: how a web server's threads come to share hera's state.
    alone = [manifest(n) for n in range(48)]
    with Workflow(name="of-the-script", entrypoint="main") as outer, ThreadPoolExecutor(16) as pool:
        contexts = [contextvars.copy_context() for _ in range(48)]
        together = list(pool.map(lambda n: contexts[n].run(manifest, n), range(48)))
    assert together == alone
    assert outer.templates == []
