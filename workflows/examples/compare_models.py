"""Trains two models side by side on one dataset, fetched and converted once: a DAG of one's own out of our steps.

python workflows/examples/compare_models.py                    on this machine, dataset `digits` of ./.tiphys
python workflows/examples/compare_models.py --argo URL         in a cluster
"""

from hera.workflows import DAG, Task, Workflow
from hera.workflows import models as m

from workflows import JobSpec, Run, Steps, StorageTarget, main
from workflows.templates import workspace_claim
from workflows.training import pod_security

NAME = "compare-models"
MODELS = {"cmpare22": "yolo11n", "cmpare33": "yolov8n"}  # job id → model


def spec(model: str) -> JobSpec:
    """Returns the one job of which only the model differs."""
    return JobSpec.from_mapping(
        {
            "name": f"compare {model}",
            "framework": "ultralytics",
            "model": model,
            "dataset": "digits",
            "hyperparameters": {"epochs": 12, "batch": 16, "image_size": 160, "learning_rate": 0.002, "seed": 0},
            "advanced_config": {"nbs": 16, "mosaic": 0.0, "fliplr": 0.0},
            "resources": {"gpu": 1, "cpu": 1, "memory": "4Gi"},
        }
    ).resolved()


def plan(storage: StorageTarget, dataset_uri: str) -> Workflow:
    """Returns one workflow with a branch per model."""
    branches = [
        Steps(
            spec(model),
            Run(job_id=job_id, trace_id="c" * 32, dataset_uri=dataset_uri, storage=storage),
            branch=model,
            secret=NAME,
        )
        for job_id, model in MODELS.items()
    ]
    shared = Steps(branches[0].spec, branches[0].run, secret=NAME)
    with Workflow(
        name=NAME,
        annotations={"workflows.argoproj.io/title": f"{' against '.join(MODELS.values())} on digits"},
        entrypoint="main",
        active_deadline_seconds=12 * 3600,
        volume_claim_templates=[workspace_claim("20Gi")],
        volume_claim_gc=m.VolumeClaimGC(strategy="OnWorkflowCompletion"),
        security_context=pod_security(),
    ) as workflow:
        # Templates first: inside a DAG a template would be taken for a task.
        download, convert = shared.download(), shared.convert()
        trained = [(branch.branch_off(), branch.train(), branch.upload()) for branch in branches]
        with DAG(name="main"):
            fetched = Task(name=download.name, template=download.name)
            converted = Task(name=convert.name, template=convert.name)
            _ = fetched >> converted
            for steps in trained:
                opened, train, upload = (Task(name=step.name, template=step.name) for step in steps)
                _ = converted >> opened >> train >> upload
    return workflow


w = plan(StorageTarget("s3", "tiphys"), "s3://tiphys/datasets/digits/")

if __name__ == "__main__":
    raise SystemExit(main(plan, dataset="digits"))
