"""A job's record in a form in which two engines can be compared: without times, ids and addresses."""

from __future__ import annotations

import re
from typing import Any

from tests.conformance.stage import Stage

_WORDS = (
    (re.compile(r"[a-z]+://[^\s,;:)]+(?:\.[a-z]+)?"), "URI"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z| \+0000 UTC)?"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:h|min|s)\b(?: \d+ (?:min|s))?"), "SPAN"),
    # Argo 3.7's words and 4.1's for a trainer that ended after a stop.
    (re.compile(r"(?<=has failed: )main: Error \(exit code 143\)$"), "workflow shutdown with strategy:  Stop"),
)
WAITS = frozenset({"step_waiting", "workflow_waiting", "step_note", "waiting", "silence"})
"""What is said while time passes: where there is room, which volume is bound, how long nothing was heard."""


def record_of(stage: Stage, job_id: str) -> dict[str, Any]:
    """Returns what is kept of a job that has ended."""
    job = stage.job(job_id)
    events = stage.events(job_id)
    metrics = stage.read(f"/api/v1/training/jobs/{job_id}/metrics?limit=1000")["items"]
    checkpoints = stage.read(f"/api/v1/training/jobs/{job_id}/checkpoints")["items"]
    told: dict[str, list[str]] = {"state": [], "platform": []}
    steps: dict[str, list[str]] = {}
    for event in events:
        words = f"{event['event_type']}: {plain(event['message'], job_id)}"
        if event["event_type"] in WAITS:
            continue
        if event["kind"] in told:
            told[event["kind"]].append(words)
        elif event["kind"] == "step":
            # One step's end and the next one's start may be seen in one look, or in two.
            steps.setdefault(event["data"]["step"], []).append(words)
    return {
        "state": job["state"],
        "reason": job["reason"],
        "message": plain(job["message"], job_id),
        "epochs": sorted({item["epoch"] for item in metrics if item["epoch"] is not None}),
        "checkpoints": sorted(item["kind"] for item in checkpoints),
        "metrics": sorted({name for item in metrics for name in item["metrics"]}),
        "trainer": sorted({event["event_type"] for event in events if event["kind"] == "trainer"}),
        "states": told["state"],
        "steps": steps,
        "platform": told["platform"],
    }


def tries(job: dict[str, Any]) -> int:
    """Returns how often the training step of a job was tried."""
    return next((int(step["attempts"]) for step in job["steps"] if step["name"] == "train"), 0)


def plain(text: str | None, job_id: str) -> str:
    """Returns a sentence without what differs from run to run."""
    words = (text or "").replace(job_id, "JOB")
    for pattern, name in _WORDS:
        words = pattern.sub(name, words)
    return re.sub(r"\bin epoch \d+", "in epoch N", words)
