"""What is tried again: the expression that Argo reads, the platform's own rule, and how long one try may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.workflows.parts import template
from workflows.budgets import cause_of
from workflows.local.expressions import Expression
from workflows.manifest import build
from workflows.retries import RETRY_WHEN
from workflows.training import training_workflow

Make = Callable[..., Any]


def test_retries_are_by_expression_alone(job: Make, attempt: Make) -> None:
    manifest = build(training_workflow(job(), attempt()))
    assert "retryStrategy" not in manifest["spec"]
    assert "retryStrategy" not in template(manifest, "main")
    for step in ("download", "convert", "train", "upload", "report", "on-exit"):
        strategy = template(manifest, step)["retryStrategy"]
        assert strategy["retryPolicy"] == "Always"
        assert strategy["limit"] >= 3
        assert set(strategy["backoff"]) == {"duration", "factor", "cap"}
        assert strategy["expression"] == RETRY_WHEN


@pytest.mark.parametrize(
    ("code", "status", "message", "again"),
    [
        ("75", "Failed", "main: Error (exit code 75): storage does not answer", True),
        ("143", "Failed", "main: Error (exit code 143)", True),
        ("143", "Failed", "Pod was terminated in response to imminent node shutdown.", True),
        ("0", "Error", "wait: Error (exit code 1): dial tcp 10.0.0.1:443: i/o timeout", True),
        ("143", "Failed", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.", False),
        ("143", "Failed", 'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".', False),
        ("137", "Failed", "main: Error (exit code 137)", True),
        ("-1", "Error", "pod deleted", True),
        ("-1", "Failed", "Pod was rejected: Node didn't have enough resource: nvidia.com/gpu", True),
        ("1", "Failed", "main: Error (exit code 1): dataset has 0 labels", False),
        ("2", "Failed", "main: Error (exit code 2)", False),
        ("137", "Failed", "main: OOMKilled (exit code 137)", False),
        ("1", "Failed", "main: OOMKilled (exit code 1)", False),
        ("143", "Failed", "Pod was active on the node longer than the specified deadline", False),
        ("-1", "Failed", "Step exceeded its deadline", False),
        ("-1", "Failed", "timeout", False),
        ("-1", "Error", 'pods "train-x" is forbidden: error looking up service account', False),
        ("-1", "Error", 'admission webhook "images.example" denied the request: registry not allowed', False),
        ("-1", "Error", 'Pod "x" is invalid: spec.tolerations[0].operator: Invalid value: "exists"', False),
        ("-1", "Failed", "init: Error (exit code 1): cannot reach the API server", True),
        ("0", "Error", "supervisor: Error (exit code 65): cannot reach the API server", True),
        ("0", "Error", "wait: Error (exit code 64): open /tmp/out: no such file or directory", False),
    ],
)
def test_what_may_pass_is_tried_again_and_what_is_the_jobs_own_fault_is_not(
    code: str, status: str, message: str, again: bool
) -> None:
    scope = {"lastRetry.exitCode": code, "lastRetry.status": status, "lastRetry.message": message}
    assert Expression(RETRY_WHEN).holds(scope) is again
    # The platform counts by the same rule.
    assert (cause_of(int(code), message) is not None) is again


def test_one_try_of_the_training_may_have_a_limit_of_its_own(job: Make, attempt: Make) -> None:
    manifest = build(training_workflow(job(limits={"total": "2h", "train": "30m"}), attempt()))
    assert template(manifest, "train")["activeDeadlineSeconds"] == 1800
    assert "activeDeadlineSeconds" not in template(build(training_workflow(job(), attempt())), "train")
