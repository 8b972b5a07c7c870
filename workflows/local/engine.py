"""The local engine: takes workflows, steps them forward, and finds everything again after a crash."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workflows.engine import LOG_CHUNK_BYTES, EngineRefused, EngineUnavailable
from workflows.local import subset
from workflows.local.capacity import Capacity
from workflows.local.images import LocalImages
from workflows.local.pods import Pods
from workflows.local.record import Workflow, whole
from workflows.local.step import Step
from workflows.local.store import Store

ACTIVE_SECONDS = 0.1
IDLE_SECONDS = 0.25

_log = logging.getLogger(__name__)


class LocalEngine:
    """Runs compiled workflows as processes of this machine, below `home/engine/`.

    Any process may submit, read, stop and delete; exactly one steps, which the lock file makes sure of.
    """

    place = "local"

    def __init__(
        self,
        home: Path,
        *,
        images: LocalImages,
        capacity: Capacity | None = None,
        clock: Callable[[], float] = time.time,
        pods: Pods | None = None,
        claims: Path | None = None,
    ) -> None:
        """Makes the engine of a home; `claims` is where named volumes lie, default `home/engine/claims`."""
        self._store = Store(home.absolute(), claims=claims and claims.absolute())
        self._images = images
        self._capacity = capacity
        self._clock = clock
        self._pods = pods or Pods()
        self._active: dict[str, Workflow] = {}
        self._loaded = False
        self._stepping = threading.Lock()
        self._wake = threading.Event()

    def submit(self, manifest: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        """Takes a workflow in; the same one again changes nothing.

        Raises EngineRefused for what it cannot run, and for another workflow under a name that is taken.
        """
        subset.check(manifest, self._images)
        name = manifest["metadata"]["name"]
        if self._store.is_asked(name, "delete"):
            raise EngineUnavailable(f"workflow {name} is being deleted: submit it again in a moment")
        plain = json.loads(json.dumps(manifest))
        state = Workflow.fresh(plain, self._clock())
        if not self._store.create(name, manifest=plain, state=state, secrets=secrets):
            if self._store.manifest(name) != plain:
                raise EngineRefused(f"another workflow is already called {name}: delete it or choose another name")
            if self._store.is_finished(name):
                return
        self._ask(name, "submit")

    def get(self, name: str) -> dict[str, Any] | None:
        """Returns the workflow with its status in Argo's shape, or None."""
        if not subset.is_name(name) or self._store.is_asked(name, "delete"):
            return None
        manifest, state = self._store.manifest(name), self._store.state(name)
        return None if manifest is None or state is None else whole(manifest, state)

    def names(self, *, live: bool = False) -> list[str]:
        """Lists the workflows held, finished ones included unless `live`."""
        going = {name for name, verb in self._store.asked() if verb == "delete"}
        held = [name for name in self._store.names() if name not in going]
        return [name for name in held if not _over(self.get(name))] if live else held

    def logs(self, name: str, node_id: str, offset: int) -> bytes:
        """Returns output of a node's pod from byte `offset`; of a Retry node, that of its last attempt."""
        if not (subset.is_name(name) and subset.is_name(node_id)) or offset < 0:
            return b""
        path = self._store.pod(name, node_id) / "main.log"
        if not path.exists():
            node = ((self._store.state(name) or {}).get("status", {}).get("nodes") or {}).get(node_id)
            if node is None or node["type"] != "Retry" or not node.get("children"):
                return b""
            path = self._store.pod(name, node["children"][-1]) / "main.log"
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(LOG_CHUNK_BYTES)
        except FileNotFoundError:
            return b""

    def stop(self, name: str) -> None:
        """Asks the stepping engine to end the running pods (SIGTERM, grace, SIGKILL) and to run the exit handler."""
        self._ask_known(name, "stop")

    def terminate(self, name: str) -> None:
        """Asks the stepping engine to end everything without exit handler; after a stop, or twice, with SIGKILL."""
        self._ask_known(name, "terminate")

    def delete(self, name: str) -> None:
        """Asks the stepping engine to end and remove a workflow; to readers it is gone at once."""
        self._ask_known(name, "delete")

    def step(self) -> bool:
        """Advances every workflow once; True if anything changed.

        Raises EngineUnavailable where another process steps this home. State is on disk before it is acted on.
        """
        with self._stepping:
            self._store.lock()
            self._pods.reap()
            if not self._loaded:
                for name in self._store.names():
                    self._load(name)
                self._loaded = True
            if self._capacity is None:
                self._capacity = Capacity.detect()
            requests = self._store.asked()
            for name, verb in requests:
                if verb == "submit":
                    self._load(name)
            if not requests and not self._active:
                return False
            step = Step(
                self._store, self._pods, self._images, self._capacity, workflows=self._active, now=self._clock()
            )
            changed = step.run(requests)
            for name in [name for name in self._active if step.is_over(name)]:
                del self._active[name]
            return changed

    def serve(self, stop: threading.Event) -> None:
        """Steps until `stop` is set; a full disk or a lost folder is waited out, not died of."""
        while not stop.is_set():
            pause = ACTIVE_SECONDS
            try:
                self.step()
                pause = ACTIVE_SECONDS if self._active else IDLE_SECONDS
            except OSError as error:
                _log.error("the local engine cannot go on and tries again: %s", error)
                pause = 1.0
            self._wake.wait(pause)
            self._wake.clear()

    def run(self, name: str, on_change: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
        """Steps until the workflow has finished and returns it; `on_change` hears of every new version."""
        version = None
        while True:
            self.step()
            found = self.get(name)
            if found is None:
                raise EngineRefused(f"there is no workflow {name}: submit it first")
            if found["metadata"]["resourceVersion"] != version:
                version = found["metadata"]["resourceVersion"]
                if on_change is not None:
                    on_change(found)
            if self._store.is_finished(name):
                return found
            self._wake.wait(ACTIVE_SECONDS)
            self._wake.clear()

    def close(self) -> None:
        """Lets go of the folder; what runs goes on and is found again by the next engine."""
        with self._stepping:
            self._store.close()
            self._active.clear()
            self._loaded = False

    def _load(self, name: str) -> None:
        if name in self._active or self._store.is_finished(name):
            return
        manifest, state = self._store.manifest(name), self._store.state(name)
        if manifest is not None and state is not None:
            self._active[name] = Workflow(manifest, state, self._store.secrets(name))

    def _ask_known(self, name: str, verb: str) -> None:
        if subset.is_name(name) and self._store.folder(name).is_dir():
            self._ask(name, verb)

    def _ask(self, name: str, verb: str) -> None:
        self._store.ask(name, verb)
        self._wake.set()


def _over(workflow: Mapping[str, Any] | None) -> bool:
    return ((workflow or {}).get("status") or {}).get("phase") in ("Succeeded", "Failed", "Error")
