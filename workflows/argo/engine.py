"""The engine `argo`: hands workflows to Argo in a cluster, and reads back what became of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from workflows.argo import pages, secret
from workflows.argo.client import MERGE, Client
from workflows.argo.create import create_with_secret, find
from workflows.argo.identity import MANAGED, PLATFORM, Identity, identify, ours
from workflows.argo.logs import Logs
from workflows.argo.objects import ENDED, Workflow, whole
from workflows.argo.place import Place
from workflows.argo.pods import pod_name, pods_of, remove
from workflows.argo.seen import Seen
from workflows.argo.server import ArgoServer
from workflows.argo.settle import Settling
from workflows.argo.watch import Watcher
from workflows.engine import EngineUnavailable

MANY_PLACES = 20_000
"""Pods whose names are remembered, 200 bytes each."""

DESCRIPTION = "workflows.argoproj.io/description"

_log = logging.getLogger(__name__)

_Place = tuple[str, bool, bool]


class ArgoEngine:
    """Argo Workflows behind the engine protocol.

    Without `serve` every question reads the cluster; while it runs, they are answered from a watch.
    """

    def __init__(
        self, client: Client, *, server: ArgoServer | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._place = Place(client, clock=clock)
        self._server = server
        self._seen = Seen(clock=clock)
        self.watcher = Watcher(client, self._seen, clock=clock)
        self.watching = False
        """Whether questions are answered from what the watcher saw."""
        self._settling = Settling(client, clock=clock)
        self._logs = Logs(client, clock=clock)
        self._places: dict[tuple[str, str], tuple[str, _Place | None]] = {}

    @property
    def place(self) -> str:
        """The namespace and, once it is known, what tells its cluster from others."""
        return str(self._place)

    def submit(self, manifest: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        """Creates the Secret, then the workflow, which then owns it; the same one again changes nothing.

        Raises EngineRefused for what the cluster will never take, and for a name that is another's.
        """
        made = create_with_secret(self._client, self._server, manifest, identify(manifest), secrets)
        self._seen.put(made.kept())

    def get(self, name: str) -> dict[str, Any] | None:
        """Returns the workflow with its status, or None; of its spec only what was asked since: shutdown, suspend.

        A workflow counts as ended when its containers have, too: until then its phase is told as Running.
        """
        workflow = self._known(name)
        if workflow is None:
            self._settling.forget(name)
            return None
        found = whole(workflow)
        status = found["status"]
        if status.get("phase") not in ENDED:
            self._settling.forget(name)  # it may have ended before, and been retried in Argo
            return found
        try:
            over = self._settling.over(workflow)
        except EngineUnavailable:
            # After a success nothing runs, for every step was waited for: only what the pods would tell is missing.
            if status["phase"] != "Succeeded":
                raise
            over = True
        if not over and status["phase"] != "Succeeded":
            status["phase"] = "Running"
            status.pop("finishedAt", None)
        facts = self._settling.facts(name)
        _add_facts(status, facts)
        _add_gone(status, facts)
        return found

    def version(self, name: str) -> str | None:
        """Returns the cluster's version of a workflow that is watched; None for one to be asked about with `get`."""
        found = self._known(name) if self.watching else None
        # An end is told when the containers have ended, of which the workflow itself says nothing.
        if found is None or found.completed:
            return None
        return f"{found.metadata.uid}/{found.metadata.resource_version}"

    def names(self, *, live: bool = False) -> list[str]:
        """Lists our workflows, finished ones included unless `live`."""
        return pages.names(self._client, live=live)

    def logs(self, name: str, node_id: str, offset: int) -> bytes:
        """Returns output of a node's pod from byte `offset`; of a Retry node, that of its last attempt."""
        found = self._place_of(name, node_id)
        if found is None or offset < 0:
            return b""
        pod, over, last = found
        return self._logs.read(pod, offset, over=over, in_turn=not last)

    def stop(self, name: str) -> None:
        """Asks Argo to end the running pods and to run the exit handler; a suspended workflow hears it, too."""
        self._wish(name, "Stop")

    def terminate(self, name: str) -> None:
        """Asks Argo to end everything without exit handler."""
        self._wish(name, "Terminate")

    def describe(self, name: str, text: str) -> None:
        """Writes the lines that Argo's UI shows below a workflow's title."""
        if self._known(name) is None:
            return
        body = {"metadata": {"annotations": {DESCRIPTION: text}}}
        what = f"describe workflow {name}"
        self._client.call("PATCH", self._client.workflows(name), what=what, body=body, kind=MERGE, absent=name)

    def release(self, name: str, node_id: str) -> bool:
        """Removes a pod that is being taken away and does not go: its node is dead, and nobody else would end it."""
        for pod in pods_of(self._client, name):
            if pod.node_id == node_id and pod.taken:
                remove(self._client, pod, grace=0)
                return True
        return False

    def delete(self, name: str) -> None:
        """Removes a workflow of ours with its pods, volumes and Secret; another's is left alone."""
        found = find(self._client, name)
        if found is not None:
            if not ours(found.metadata):
                _log.warning("workflow %s was not made by this platform: it is left alone", name)
                return
            body = {"propagationPolicy": "Background", "preconditions": {"uid": found.metadata.uid}}
            path, what = self._client.workflows(name), f"remove workflow {name}"
            self._client.call("DELETE", path, what=what, body=body, absent=name)
        # Owned, it goes by itself; this one may have been left without a workflow.
        secret.remove(self._client, Identity(name, {MANAGED: PLATFORM}))
        self._seen.drop(name)
        self._settling.forget(name)

    def serve(self, stop: threading.Event) -> None:
        """Watches the cluster until `stop` is set."""
        thread = threading.Thread(target=self.watcher.run, args=(stop,), name="argo-watch", daemon=True)
        self.watching = True
        thread.start()
        try:
            while thread.is_alive() and not stop.wait(1.0):
                pass
            # It may open its watch at this very moment, and a watch waits for its next line a minute long.
            for _ in range(50):
                self.watcher.cut()
                thread.join(0.1)
                if not thread.is_alive():
                    break
        finally:
            self.watching = False

    def close(self) -> None:
        """Ends all connections; what runs in the cluster goes on."""
        self._client.close()
        if self._server is not None:
            self._server.close()

    def _place_of(self, name: str, node_id: str) -> _Place | None:
        """Returns the pod of a node, of a Retry node that of its last attempt, and whether it and all have ended."""
        workflow = self._known(name)
        if workflow is None:
            return None
        version, key = workflow.metadata.resource_version, (name, node_id)
        kept = self._places.get(key)
        # Unpacking a whole status at each look at each running pod would be most of a look.
        if kept is not None and kept[0] == version:
            return kept[1]
        status = whole(workflow)["status"]
        nodes = status.get("nodes") or {}
        node = nodes.get(node_id)
        if node is not None and node.get("type") == "Retry" and node.get("children"):
            node = nodes.get(node["children"][-1])
        found: _Place | None = None
        if node is not None and node.get("type") == "Pod":
            found = pod_name(name, node), node.get("phase") in ENDED, status.get("phase") in ENDED
        if len(self._places) >= MANY_PLACES:
            self._places.clear()
        self._places[key] = version, found
        return found

    def _known(self, name: str) -> Workflow | None:
        if not self.watching:
            return self._read(name)
        self.watcher.require()
        found = self._seen.get(name)
        if found is None:
            found = self._read(name)
            if found is not None:
                self._seen.put(found.kept())
        return found

    def _read(self, name: str) -> Workflow | None:
        found = find(self._client, name)
        # Somebody else's of our name: ours is gone, and that one is neither followed nor ended.
        return found if found is not None and ours(found.metadata) else None

    def _wish(self, name: str, strategy: str) -> None:
        if self._known(name) is None:
            return
        # While it is suspended Argo does not hear a shutdown.
        body = {"spec": {"shutdown": strategy, "suspend": None}}
        what = f"{strategy.lower()} workflow {name}"
        self._client.call("PATCH", self._client.workflows(name), what=what, body=body, kind=MERGE, absent=name)


def _add_facts(status: dict[str, Any], facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Puts what the pods told into the nodes that lack it: the exit code, and who took the pod away."""
    for node_id, told in facts.items():
        node = (status.get("nodes") or {}).get(node_id)
        if node is None or not told or node.get("type") != "Pod":
            continue
        node["pod"] = dict(told)
        if "exitCode" in told and "exitCode" not in (node.get("outputs") or {}):
            node["outputs"] = {**(node.get("outputs") or {}), "exitCode": told["exitCode"]}


def _add_gone(status: dict[str, Any], facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Marks the nodes that succeeded though their pod is gone while others of the workflow are still there.

    Pods stay until some time after the workflow's end: somebody took this one away, perhaps before it was done.
    """
    for node_id, node in (status.get("nodes") or {}).items():
        if facts and node.get("type") == "Pod" and node.get("phase") == "Succeeded" and node_id not in facts:
            node["pod"] = {"gone": True}
