"""Reading the log of a real pod: piece by piece, from a byte on, and its last line."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.cluster.found import IMAGE, SHELL
from tests.cluster.namespace import Namespace
from workflows.argo.logs import Logs

pytestmark = pytest.mark.cluster

SECONDS = 60.0


def _pod(namespace: Namespace, name: str, script: str) -> None:
    main = {"name": "main", "image": IMAGE, "command": [*SHELL, script]}
    spec = {"containers": [main], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    namespace.post(namespace.client.pods(), {"metadata": {"name": name}, "spec": spec})


def _phase(namespace: Namespace, name: str) -> Any:
    return namespace.client.call("GET", namespace.client.pods(name), what="look").json()["status"].get("phase")


def _read(namespace: Namespace, name: str, logs: Logs) -> tuple[bytes, int]:
    """Follows a pod to its end, as the reconciler does; returns its log and in how many pieces it came."""
    log, pieces, deadline = b"", 0, time.monotonic() + SECONDS
    while True:
        assert time.monotonic() < deadline, log
        over = _phase(namespace, name) in ("Succeeded", "Failed")
        while piece := logs.read(name, len(log), over=over):
            log += piece
            pieces += 1
        if over:
            return log, pieces
        threading.Event().wait(0.2)


def test_a_log_comes_in_pieces_and_whole(namespace: Namespace) -> None:
    _pod(namespace, "counts", "for n in 1 2 3 4 5 6; do echo epoch $n; sleep 1; done; printf last")
    log, pieces = _read(namespace, "counts", Logs(namespace.client))
    assert log == b"epoch 1\nepoch 2\nepoch 3\nepoch 4\nepoch 5\nepoch 6\nlast"
    assert pieces > 1
    # A fresh process finds its place by the bytes it has.
    for offset in (0, 4, 8, len(log) - 2, len(log)):
        assert Logs(namespace.client).read("counts", offset, over=True) == log[offset:]


def test_many_lines_of_one_moment_are_neither_lost_nor_told_twice(namespace: Namespace) -> None:
    _pod(namespace, "rushes", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done")
    log, _ = _read(namespace, "rushes", Logs(namespace.client))
    assert log.decode().splitlines() == [f"line {number}" for number in range(3000)]


def test_a_pod_that_waits_and_one_that_is_gone_have_no_log(namespace: Namespace) -> None:
    spec = {"containers": [{"name": "main", "image": IMAGE}], "nodeSelector": {"no": "such-node"}}
    namespace.post(namespace.client.pods(), {"metadata": {"name": "waits"}, "spec": spec})
    logs = Logs(namespace.client)
    assert logs.read("waits", 0, over=False) == b""
    assert logs.read("gone", 0, over=False) == b""
