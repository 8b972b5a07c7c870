"""A namespace of a real cluster for one test module, with accounts of chosen rights."""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from workflows.argo.access import Access
from workflows.argo.client import Client

EXECUTOR = [{"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}]
PLATFORM = [
    {
        "apiGroups": ["argoproj.io"],
        "resources": ["workflows"],
        "verbs": ["create", "get", "list", "watch", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "get", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
]
"""All that the engine does, and nothing else."""
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"


@dataclass
class Namespace:
    """A namespace, seen by an administrator."""

    name: str
    admin: Access
    client: Client

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Makes an object."""
        return self.client.call("POST", path, what=f"create {path}", body=body).json()

    def bind(self, name: str, rules: list[dict[str, Any]]) -> None:
        """Gives a service account these rights."""
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.name}
        self.post(f"{RBAC}/{self.name}/roles", {"metadata": {"name": name}, "rules": rules})
        body = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
        self.post(f"{RBAC}/{self.name}/rolebindings", body)
        # What decides learns of it a moment later.
        deadline = time.monotonic() + 30
        while not self._may(name, rules[-1]):
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)

    def _may(self, name: str, rule: dict[str, Any]) -> bool:
        resource, _, sub = rule["resources"][0].partition("/")
        asked = {"namespace": self.name, "verb": rule["verbs"][0], "group": rule["apiGroups"][0], "resource": resource}
        spec = {
            "user": f"system:serviceaccount:{self.name}:{name}",
            "resourceAttributes": {**asked, "subresource": sub},
        }
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        answer = self.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {**kind, "spec": spec})
        return bool(answer["status"]["allowed"])

    def account(self, name: str, rules: list[dict[str, Any]]) -> Access:
        """Makes a service account with these rights; returns its way into the cluster."""
        core = f"/api/v1/namespaces/{self.name}"
        self.post(f"{core}/serviceaccounts", {"metadata": {"name": name}})
        if rules:
            self.bind(name, rules)
        asked: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = str(self.post(f"{core}/serviceaccounts/{name}/token", asked)["status"]["token"])
        return dataclasses.replace(self.admin, namespace=self.name, token=lambda: token, renew=lambda: None)


@contextmanager
def namespace_in(admin: Access, *, prefix: str = "tiphys-test") -> Iterator[Namespace]:
    """Makes a namespace in which workflows can run, and removes it again with all that is in it."""
    name = f"{prefix}-{secrets.token_hex(4)}"
    client = Client(dataclasses.replace(admin, namespace=name))
    made = Namespace(name, admin, client)
    try:
        made.post("/api/v1/namespaces", {"metadata": {"name": name}})
        made.account("workflow", EXECUTOR)
        yield made
    finally:
        client.call("DELETE", f"/api/v1/namespaces/{name}", what="clean up", allow=(404,))
        client.close()
