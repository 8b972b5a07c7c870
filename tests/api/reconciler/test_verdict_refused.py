"""A pod that the cluster takes from nobody is told in the cluster's own words, and not as a preemption."""

from __future__ import annotations

import pytest

from api.jobs.status import Reason
from api.reconciler.verdict import Ending, verdict
from tests.api.reconciler.test_verdict import F


@pytest.mark.parametrize(
    "words",
    [
        'admission webhook "validate.kyverno.svc-fail" denied the request: image registry not allowed',
        'Pod "x" is invalid: spec.tolerations[0].operator: Invalid value: "exists": must be Equal or Exists',
    ],
)
def test_a_pod_that_the_cluster_refuses_is_told_in_its_words(words: str) -> None:
    node = {
        "id": "w-1", "name": "w.download(0)", "displayName": "download(0)", "templateName": "download", "type": "Pod",
        "phase": "Error", "message": words,
    }  # fmt: skip
    status = {"phase": "Failed", "nodes": {"w-1": node}}
    found = verdict(Ending(status=status, manifest={}))
    assert (found.state, found.reason) == (F, Reason.REFUSED)
    assert words in found.message
