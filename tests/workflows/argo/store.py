"""A namespace of a Kubernetes API server in memory: what the engine uses of one, with its words and its codes.

tests/cluster/test_twin.py asks a real API server the same and compares.
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from tests.workflows.argo.fake import Answer, Request, refused

FULL = {"secrets": "secrets", "pods": "pods", "workflows": "workflows.argoproj.io"}
KIND = {"secrets": "Secret", "pods": "Pod", "workflows": "Workflow.argoproj.io"}


class Store:
    """Answers as a namespace would; `faults` are answered first, by deed."""

    def __init__(self, namespace: str = "jobs") -> None:
        self.namespace = namespace
        self.kept: dict[str, dict[str, dict[str, Any]]] = {"secrets": {}, "workflows": {}, "pods": {}}
        self.created: list[tuple[str, str]] = []
        self.faults: dict[str, list[Answer]] = {}
        self.output: dict[str, bytes] = {}
        self.live = True
        """Whether a watch waits for what comes; else it ends with what there is."""
        self.version = 100
        self.compacted = 0
        self.history: list[tuple[int, str, str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        self._closed = False

    def __call__(self, request: Request) -> Answer:
        waiting = self.faults.get(request.deed)
        if waiting:
            return waiting.pop(0)
        kind, name = self._place(request.path)
        if request.path == f"/api/v1/namespaces/{self.namespace}":
            return Answer(body={"metadata": {"name": self.namespace, "uid": f"uid-of-{self.namespace}"}})
        if not kind:
            return Answer(404, b"404 page not found\n")
        namespace = request.path.split("/namespaces/")[1].split("/")[0]
        if namespace != self.namespace:
            return self._elsewhere(request, kind, name, namespace)
        with self._changed:
            if "watch" in request.query:
                return self._watch(request, kind)
            return getattr(self, f"_{request.method.lower()}")(request, kind, name)

    def put(self, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Keeps a thing under its name with a new version."""
        with self._changed:
            meta = thing["metadata"]
            known = self.kept[kind].get(meta["name"])
            meta["resourceVersion"] = str(self._next())
            meta.setdefault("uid", str(uuid.uuid4()))
            self.kept[kind][meta["name"]] = thing
            self._tell("MODIFIED" if known is not None else "ADDED", kind, thing)
            return thing

    def remove(self, kind: str, name: str) -> dict[str, Any] | None:
        """Removes a thing, and the Secrets that it owned."""
        with self._changed:
            found = self.kept[kind].pop(name, None)
            if found is not None:
                last = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self._next())}}
                self._tell("DELETED", kind, last)
                for owned in [n for n, secret in self.kept["secrets"].items() if _owner(secret) == _uid(found)]:
                    self.remove("secrets", owned)
            return found

    def compact(self) -> None:
        """Forgets what happened until now, as etcd does after minutes."""
        with self._changed:
            self.compacted, self.history = self.version, []

    def close(self) -> None:
        """Ends all watches."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _place(self, path: str) -> tuple[str, str]:
        parts = path.split("/")
        for kind in self.kept:
            group = "/apis/argoproj.io/v1alpha1/" if kind == "workflows" else "/api/v1/"
            if kind in parts and path.startswith(f"{group}namespaces/"):
                after = parts[parts.index(kind) + 1 :]
                return kind, after[0] if after else ""
        return "", ""

    def _elsewhere(self, request: Request, kind: str, name: str, namespace: str) -> Answer:
        if request.method == "POST":
            return refused(404, f'namespaces "{namespace}" not found', "NotFound")
        return _absent(kind, name) if name else Answer(body={"metadata": {"resourceVersion": "1"}, "items": []})

    def _post(self, request: Request, kind: str, _: str) -> Answer:
        thing = request.body
        name = thing["metadata"]["name"]
        if name in self.kept[kind]:
            return refused(409, f'{FULL[kind]} "{name}" already exists', "AlreadyExists")
        thing["metadata"] = {**thing["metadata"], "namespace": self.namespace}
        self.created.append((kind, name))
        return Answer(201, _copy(self.put(kind, _stored(thing))))

    def _get(self, request: Request, kind: str, name: str) -> Answer:
        if name:
            found = self.kept[kind].get(name)
            if found and request.path.endswith("/log"):
                return Answer(pieces=[self.output.get(name, b"")])
            return Answer(body=_copy(found)) if found else _absent(kind, name)
        chosen = sorted(
            (t for t in self.kept[kind].values() if selected(t, request.query)), key=lambda t: t["metadata"]["name"]
        )
        version, skipped = self.version, 0
        if "continue" in request.query:
            version, skipped = map(int, request.query["continue"].split("."))
            if version < self.compacted:
                return refused(410, "The provided continue parameter is too old", "Expired")
        limit = int(request.query.get("limit", "0")) or len(chosen)
        end = skipped + limit
        meta = {"resourceVersion": str(version), "continue": f"{version}.{end}" if end < len(chosen) else ""}
        items = chosen[skipped:end]
        if "PartialObjectMetadataList" in request.headers.get("Accept", ""):
            return Answer(body={"metadata": meta, "items": [{"metadata": t["metadata"]} for t in items] or None})
        return Answer(body=_copy({"metadata": meta, "items": items}))

    def _patch(self, request: Request, kind: str, name: str) -> Answer:
        found = self.kept[kind].get(name)
        if found is None:
            return _absent(kind, name)
        uid = (request.body.get("metadata") or {}).get("uid", _uid(found))
        if uid != _uid(found):
            text = f'{KIND[kind]} "{name}" is invalid: metadata.uid: Invalid value: "{uid}": field is immutable'
            return refused(422, text, "Invalid")
        changed = _copy(found)
        _merge(changed, request.body)
        return Answer(body=_copy(self.put(kind, _stored(changed))))

    def _delete(self, request: Request, kind: str, name: str) -> Answer:
        found = self.kept[kind].get(name)
        if found is None:
            return _absent(kind, name)
        wanted = ((request.body or {}).get("preconditions") or {}).get("uid", _uid(found))
        if wanted != _uid(found):
            text = f"the UID in the precondition ({wanted}) does not match the UID in record ({_uid(found)})"
            return refused(409, f'Operation cannot be fulfilled on {KIND[kind]} "{name}": {text}', "Conflict")
        self.remove(kind, name)
        return Answer(body={"kind": "Status", "status": "Success"})

    def _watch(self, request: Request, kind: str) -> Answer:
        since = int(request.query["resourceVersion"])
        if since < self.compacted:
            text = f"too old resource version: {since} ({self.compacted})"
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": text}
            return Answer(pieces=[_line("ERROR", gone)])
        return Answer(pieces=self._events(since, kind, dict(request.query)))

    def _events(self, since: int, kind: str, query: dict[str, str]) -> Iterator[bytes]:
        while True:
            with self._changed:
                new = [e for e in self.history if e[0] > since and e[2] == kind and selected(e[3], query)]
                if not new:
                    if self._closed or not self.live:
                        return
                    self._changed.wait(5)
                    continue
            for version, event, _, thing in new:
                since = version
                yield _line(event, thing)

    def _next(self) -> int:
        self.version += 1
        return self.version

    def _tell(self, event: str, kind: str, thing: dict[str, Any]) -> None:
        self.history.append((self.version, event, kind, _copy(thing)))
        self._changed.notify_all()


def selected(thing: dict[str, Any], query: dict[str, str]) -> bool:
    """Tells whether a thing's labels fit a query's selector."""
    labels = thing["metadata"].get("labels") or {}
    for part in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = part.partition("!=" if "!=" in part else "=")
        if "!=" in part:
            if labels.get(key) == value:
                return False
        elif key not in labels or (value and labels[key] != value):
            return False
    return True


def _stored(thing: dict[str, Any]) -> dict[str, Any]:
    """What is written as text in a Secret is kept as base64."""
    given = thing.pop("stringData", None) or {}
    if given:
        thing["data"] = {
            **(thing.get("data") or {}),
            **{k: base64.b64encode(v.encode()).decode() for k, v in given.items()},
        }
    return thing


def _absent(kind: str, name: str) -> Answer:
    return refused(404, f'{FULL[kind]} "{name}" not found', "NotFound")


def _uid(thing: dict[str, Any]) -> str:
    return str(thing["metadata"]["uid"])


def _owner(thing: dict[str, Any]) -> str | None:
    owners = thing["metadata"].get("ownerReferences") or []
    return owners[0]["uid"] if owners else None


def _line(event: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": event, "object": thing}).encode() + b"\n"


def _copy(thing: Any) -> Any:
    return json.loads(json.dumps(thing))


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def argo_server(inner: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """An Argo Server's create and read, in front of a Kubernetes API."""

    def behave(request: Request) -> Answer:
        _, _, rest = request.path.partition("/api/v1/workflows/")
        namespace, _, name = rest.partition("/")
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows" + (f"/{name}" if name else "")
        body = (request.body or {}).get("workflow")
        return inner(Request(request.method, path, request.query, request.headers, body))

    return behave
