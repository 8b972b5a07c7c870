"""Keeps what a real controller writes about a scenario's workflow, for replays where there is no controller."""

from __future__ import annotations

import gzip
import json
import threading
import time
from pathlib import Path
from typing import Any

from workflows.argo.client import Client
from workflows.engine import EngineError

FOLDER = "TIPHYS_RECORD_TRACES"
"""Names the folder to which traces are written, one `<scenario>.jsonl.gz` each."""
DROPPED = ("managedFields", "annotations", "generation", "creationTimestamp")


class Recorder:
    """Watches a namespace's workflows in a thread of its own, and hands over what was seen of one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seen: dict[str, list[dict[str, Any]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the watch with its connection."""
        self._stop.set()
        self._client.close()

    def keep(self, workflow: str, path: Path) -> None:
        """Writes every state that a workflow was seen in, one a line: when, of what type, the object."""
        lines = [json.dumps(event, separators=(",", ":")) for event in self._seen[workflow]]
        # Without the moment of writing in the file: the same events give the same bytes.
        with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
            file.write(("\n".join(lines) + "\n").encode())

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._once()
            except EngineError:
                self._stop.wait(0.2)  # the API server was away, and so nothing was to be seen

    def _once(self) -> None:
        query = {"labelSelector": "tiphys/job-id", "watch": "true"}
        rest = b""
        with self._client.stream(
            self._client.workflows(), what="record workflows", query=query, read_timeout=3600
        ) as answer:
            for piece in answer.iter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    name = event["object"]["metadata"]["name"]
                    told = {"t": round(time.time(), 2), "type": event["type"], "object": trimmed(event["object"])}
                    kept = self._seen.setdefault(name, [])
                    if not kept or kept[-1]["type"] != told["type"] or kept[-1]["object"] != told["object"]:
                        kept.append(told)


def trimmed(thing: dict[str, Any]) -> dict[str, Any]:
    """Returns a workflow without what nobody reads: its own manifest, and the bookkeeping of the API server."""
    metadata = {key: value for key, value in thing["metadata"].items() if key not in DROPPED}
    spec = {key: thing["spec"][key] for key in ("shutdown", "suspend") if key in thing["spec"]}
    status = {key: value for key, value in (thing.get("status") or {}).items() if not key.startswith("stored")}
    for node in (status.get("nodes") or {}).values():
        for key in ("templateScope", "resourcesDuration", "inputs", "memoizationStatus"):
            node.pop(key, None)
    return {"metadata": metadata, "spec": spec, "status": status}
