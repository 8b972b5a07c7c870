"""Trains the demo's digit detector: the whole pipeline from one JobSpec.

python workflows/examples/train_digits.py                      on this machine, dataset `digits` of ./.tiphys
python workflows/examples/train_digits.py --dataset ./scenes   on this machine, another dataset
python workflows/examples/train_digits.py --argo URL           in a cluster
"""

from pathlib import Path

from hera.workflows import Workflow

from workflows import JobSpec, Run, StorageTarget, main, training_workflow

SPEC = JobSpec.from_yaml(Path(__file__).with_name("digits.yaml").read_text("utf-8"))


def plan(storage: StorageTarget, dataset_uri: str) -> Workflow:
    """Returns the training of `digits.yaml`; without a backend it prints what it would have reported."""
    run = Run(job_id="dgts2345", trace_id="5" * 32, dataset_uri=dataset_uri, storage=storage)
    return training_workflow(SPEC, run)


w = plan(StorageTarget("s3", "tiphys"), "s3://tiphys/datasets/digits/")

if __name__ == "__main__":
    raise SystemExit(main(plan, dataset=SPEC.dataset))
