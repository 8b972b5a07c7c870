"""The API server in memory, on which faults are tested everywhere, says what a real one says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.cluster.faults.backend import Backend, manifest, real, twin
from workflows.argo.access import Access, bearer
from workflows.argo.client import MERGE

pytestmark = pytest.mark.cluster

NOBODY = "00000000-0000-0000-0000-000000000000"
LISTED = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
OURS = {"labelSelector": "tiphys/job-id"}


def _said(backend: Backend, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
    """Returns the code, and of the answer what does not change from one server to the next."""
    access = backend.admin.access
    kind = MERGE if method == "PATCH" else "application/json"
    headers = {"Content-Type": kind, **bearer(access.token()), **more.pop("headers", {})}
    with httpx.Client(base_url=access.url, verify=access.tls, trust_env=False) as client:
        answer = client.request(method, path, json=body, headers=headers, **more)
    if answer.headers.get("content-type", "").startswith("text/plain") or not answer.content.startswith(b"{"):
        return answer.status_code, answer.text
    told = answer.json()
    if told.get("kind") == "Status" and told.get("status") == "Failure":
        words = told["message"].replace(backend.access.namespace, "NAMESPACE")
        words = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UID", words)
        return answer.status_code, (told["reason"], words.partition(". The object might")[0])
    if "items" in told:
        return answer.status_code, told["items"] and [item["metadata"]["name"] for item in told["items"]]
    return answer.status_code, (told.get("data"), sorted(told.get("spec") or {}))


def _asked(backend: Backend) -> Iterator[tuple[str, tuple[int, Any]]]:
    of = backend.admin
    w, s, one = of.workflows(), of.secrets(), manifest("a2345678")
    name = one["metadata"]["name"]
    elsewhere = w.replace(backend.access.namespace, "no-such-place")
    secret = {"metadata": {"name": name}, "stringData": {"a": "b"}}
    asked: list[tuple[Any, ...]] = [
        ("GET", w, None, {"params": OURS}),
        ("GET", w, None, {"params": OURS, "headers": {"Accept": LISTED}}),
        ("GET", of.workflows("no")),
        ("GET", of.secrets("no")),
        ("GET", of.pods("no")),
        ("GET", f"{of.pods('no')}/log"),
        ("POST", w, one),
        ("POST", w, one),
        ("POST", elsewhere, one),
        ("GET", elsewhere, None, {"params": OURS}),
        ("GET", w, None, {"params": OURS, "headers": {"Accept": LISTED}}),
        ("GET", w, None, {"params": {"labelSelector": "tiphys/job-id,workflows.argoproj.io/completed!=true"}}),
        ("PATCH", of.workflows(name), {"spec": {"shutdown": "Stop", "suspend": None}}),
        ("PATCH", of.workflows(name), {"metadata": {"uid": NOBODY}, "spec": {"shutdown": "Stop"}}),
        ("PATCH", of.workflows("no"), {"spec": {"shutdown": "Stop"}}),
        ("POST", s, secret),
        ("POST", s, secret),
        ("PATCH", of.secrets(name), {"metadata": {"ownerReferences": None}, "stringData": {"a": "c"}}),
        ("PATCH", of.secrets(name), {"metadata": {"uid": NOBODY}}),
        ("GET", of.secrets(name)),
        ("DELETE", of.secrets(name), {"preconditions": {"uid": NOBODY}}),
        ("DELETE", of.workflows(name), {"preconditions": {"uid": NOBODY}}),
        ("DELETE", of.workflows(name), {"propagationPolicy": "Background"}),
        ("DELETE", of.workflows(name), {"propagationPolicy": "Background"}),
        ("GET", of.workflows(name)),
        ("POST", w.replace("argoproj.io", "nothing.io"), one),
    ]
    for method, path, *rest in asked:
        body = rest[0] if rest else None
        more = rest[1] if len(rest) > 1 else {}
        shown = path.replace(backend.access.namespace, "NAMESPACE")
        yield f"{method} {shown}", _said(backend, method, path, body, **more)


def test_both_say_the_same(cluster: Access) -> None:
    with twin() as memory, real(cluster) as there:
        for ours, theirs in zip(_asked(memory), _asked(there), strict=True):
            assert ours == theirs
