"""What each refusal means, and that its cure is said."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.workflows.argo.fake import Answer, Api, Behaviour, refused
from workflows.argo.access import Access
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.argo.faults import fault
from workflows.engine import EngineError, EngineRefused, EngineUnavailable

Serve = Callable[[Behaviour], tuple[Api, Client]]


def _fault(code: int, message: str) -> EngineError:
    return fault(httpx.Response(code, json={"message": message}), who="the Kubernetes API", what="create workflow w")


@pytest.mark.parametrize(
    ("code", "message", "kind", "says"),
    [
        (401, "Unauthorized", EngineUnavailable, "renew it"),
        (403, 'workflows is forbidden: User "x" cannot create', EngineUnavailable, "give this account the role"),
        (403, "exceeded quota: few, requested: 1", EngineUnavailable, "quota is used up"),
        (403, "because it is being terminated", EngineUnavailable, "being removed"),
        (404, 'namespaces "jobs" not found', EngineUnavailable, "create the namespace"),
        (404, "the server could not find the requested resource", EngineUnavailable, "install Argo Workflows"),
        (429, "too many requests", EngineUnavailable, "busy"),
        (500, "etcdserver: leader changed", EngineUnavailable, "etcdserver"),
        (503, "", EngineUnavailable, "Service Unavailable"),
        (500, "etcdserver: request is too large", EngineRefused, "too large"),
        (413, "limit is 3145728", EngineRefused, "too large"),
        (422, "spec.templates: Invalid value", EngineRefused, "spec.templates: Invalid value"),
        (400, "templates.main invalid", EngineRefused, "templates.main invalid"),
    ],
)
def test_each_refusal_is_told_apart(code: int, message: str, kind: type[EngineError], says: str) -> None:
    error = _fault(code, message)
    assert type(error) is kind
    assert says in error.message
    assert "\n" not in error.message
    if isinstance(error, EngineUnavailable):
        assert error.untouched is (code < 500)


def test_a_proxys_error_page_is_no_crash() -> None:
    error = fault(httpx.Response(502, content=b"<html>\n<h1>Bad"), who="the Argo Server", what="create workflow w")
    assert isinstance(error, EngineUnavailable)
    assert "Bad Gateway" in error.message
    assert "<html>" not in error.message


def test_nobody_listening_is_said_with_the_address() -> None:
    client = Client(Access(url="http://127.0.0.1:9", namespace="jobs"))
    with pytest.raises(EngineUnavailable, match=r"http://127\.0\.0\.1:9 does not answer") as raised:
        ArgoEngine(client).names()
    assert raised.value.untouched
    client.close()


def test_a_server_without_tls_behind_https_is_said(api_of: Serve) -> None:
    api, _ = api_of(lambda _: Answer(body={}))
    url = api.url.replace("http:", "https:")
    client = Client(Access(url=url, namespace="jobs", tls=ssl.create_default_context()))
    with pytest.raises(EngineUnavailable, match="does not answer"):
        ArgoEngine(client).names()
    client.close()


def test_a_token_renewed_a_moment_ago_is_read_anew(api_of: Serve) -> None:
    tokens = ["old"]

    def behave(request: Any) -> Answer:
        if request.headers["Authorization"] == "Bearer new":
            return Answer(body={"metadata": {}, "items": []})
        return refused(401, "Unauthorized")

    api, _ = api_of(behave)

    def renew() -> None:
        tokens[0] = "new"

    client = Client(Access(url=api.url, namespace="jobs", token=lambda: tokens[0], renew=renew))
    assert ArgoEngine(client).names() == []
    assert len(api.asked) == 2
    client.close()


def test_an_expired_token_is_asked_for_twice_and_then_said(api_of: Serve) -> None:
    api, client = api_of(lambda _: refused(401, "Unauthorized"))
    with pytest.raises(EngineUnavailable, match="renew it"):
        ArgoEngine(client).get("train-7k3mqz2x-1")
    assert len(api.asked) == 2


def test_a_cluster_without_argo_has_not_deleted_the_jobs(api_of: Serve) -> None:
    _, client = api_of(lambda _: Answer(404, b"404 page not found\n"))
    with pytest.raises(EngineUnavailable):
        ArgoEngine(client).get("train-7k3mqz2x-1")


def test_a_list_that_expires_between_pages_is_no_half_list(api_of: Serve) -> None:
    def behave(request: Any) -> Answer:
        if "continue" in request.query:
            return refused(410, "The provided continue parameter is too old", "Expired")
        return Answer(body={"metadata": {"continue": "c"}, "items": [{"metadata": {"name": "train-a-1"}}]})

    _, client = api_of(behave)
    with pytest.raises(EngineUnavailable, match="begun anew"):
        ArgoEngine(client).names()
