"""The live view of a job: its steps with their states, an epoch bar with ETA, loss and metrics as they come."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from api.cli.client import JOBS, Api, Message
from api.cli.epochs import Epoch, Epochs, metrics_line
from api.cli.fault import Exit, Fault
from api.cli.output import console, duration, seconds_taken, state

TERMINAL = ("succeeded", "failed", "cancelled")
PHASES = {
    "Pending": ("·", "dim"),
    "Running": ("▶", "bold blue"),
    "Succeeded": ("✔", "green"),
    "Failed": ("✘", "red"),
    "Error": ("✘", "red"),
    "Omitted": ("-", "dim"),
    "Skipped": ("-", "dim"),
}
RECONNECT_AFTER = 2.0
"""Seconds between two tries to reach an API that has gone."""


def watch_job(api: Api, job_id: str, *, json: bool = False) -> dict[str, Any]:
    """Follow a job until it has ended, through any absence of the API, and return its last state."""
    if json:
        return _as_json(api, job_id)
    out = console()
    return _live(api, job_id, out) if out.is_terminal else _as_lines(api, job_id, out)


def messages(api: Api, job_id: str) -> Iterator[Message | None]:
    """Yield the stream's messages to its end, None while the API is away; nothing is told twice."""
    last_id = ""
    while True:
        try:
            for message in api.events(job_id, last_id=last_id):
                last_id = message.id or last_id
                if message.event == "end":
                    return
                yield message
        except httpx.TransportError:
            yield None
        time.sleep(RECONNECT_AFTER)


class View:
    """What is known of a job so far, and how it looks."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.epochs = Epochs()
        self.away = False
        self.note = ""

    def hear(self, message: Message | None, api: Api) -> list[Epoch]:
        """Take one message in and return the epochs that are over by it; a moved state or step is read anew, whole."""
        self.away = message is None
        if message is None:
            return []
        if message.event == "heartbeat":
            known = {
                k: message.data.get(k) for k in ("epoch", "total_epochs", "progress") if message.data.get(k) is not None
            }
            self.job.update(known)
            return list(self.epochs.hear(message.data))
        if message.data.get("kind") == "platform" or message.data.get("level") in ("warning", "error"):
            self.note = message.data["message"]
        if message.data.get("kind") in ("state", "step"):
            try:
                self.job = api.get(f"{JOBS}/{self.job['id']}")
            except Fault as fault:
                if fault.exit_code != Exit.UNREACHABLE:
                    raise
                self.away = True  # it went between the message and the question
            # A step that moves ends an epoch that was told of as a whole; one under way it may only interrupt.
            if self.epochs.current and not self.epochs.current.within:
                return list(self.epochs.close())
        return []

    def __rich__(self) -> RenderableType:
        job = self.job
        head = Text.assemble(
            (job["name"], "bold"), f"  {job['id']}  {job['framework']}/{job['model']} on {job['dataset']}  "
        )
        head.append_text(state(job["state"]))
        steps = Table.grid(padding=(0, 1))
        for step in job["steps"]:
            mark, style = PHASES.get(step["phase"], ("·", "dim"))
            took = (
                duration(seconds_taken(step))
                if step["started_at"] and step["phase"] not in ("Pending", "Omitted")
                else ""
            )
            detail = (step["message"] or "") if step["phase"] in ("Pending", "Failed", "Error", "Running") else ""
            steps.add_row(
                Text(f"  {mark}", style=style),
                Text(step["title"], style=style),
                Text(took, style="dim"),
                Text(detail, style="dim"),
            )
        parts: list[RenderableType] = [head, steps]
        if job["epoch"] is not None and job["total_epochs"]:
            parts.append(self._bar())
        now, last = self.epochs.current, self.epochs.last
        if now and (line := metrics_line(now.metrics)):
            parts.append(Text("  ") + line)
        if last and last is not now:
            parts.append(Text(f"  epoch {last.number}: ", style="dim") + metrics_line(last.metrics))
        if self.away:
            parts.append(Text("  the API is away; training goes on without it, waiting…", style="yellow"))
        elif self.note:
            parts.append(Text(f"  {self.note}", style="yellow"))
        return Group(*parts)

    def _bar(self) -> RenderableType:
        job = self.job
        row = Table.grid(padding=(0, 1))
        done = job["progress"] if job["progress"] is not None else 100 * job["epoch"] / job["total_epochs"]
        bar = ProgressBar(total=100, completed=min(done, 100), width=40)
        row.add_row(
            Text("  epoch"),
            Text(f"{job['epoch']}/{job['total_epochs']}"),
            bar,
            Text(f"{done:.0f} %"),
            Text(self._eta(done)),
        )
        return row

    def _eta(self, done: float) -> str:
        train = next((s for s in self.job["steps"] if s["name"] == "train"), None)
        spent = seconds_taken(train) if train and train["phase"] == "Running" else None
        if not spent or done <= 0 or done >= 100:
            return ""
        return f"ETA {duration(spent * (100 - done) / done)}"


def _live(api: Api, job_id: str, out: Console) -> dict[str, Any]:
    view = View(api.get(f"{JOBS}/{job_id}"))
    with Live(view, console=out, refresh_per_second=4, transient=False):
        for message in messages(api, job_id):
            view.hear(message, api)
        view.job = api.get(f"{JOBS}/{job_id}")
    _verdict(view.job, out)
    return view.job


def _as_lines(api: Api, job_id: str, out: Console) -> dict[str, Any]:
    """For pipes and CI: one line for each thing that happened."""
    view = View(api.get(f"{JOBS}/{job_id}"))
    out.print(
        f"{view.job['name']}  {job_id}  {view.job['framework']}/{view.job['model']} on {view.job['dataset']}",
        markup=False,
    )
    for message in messages(api, job_id):
        was_away = view.away
        for epoch in view.hear(message, api):
            _say_epoch(epoch, out)
        if message is None:
            if not was_away:
                out.print("  the API is away; training goes on without it, waiting…")
        elif message.event != "heartbeat" and (
            message.data.get("kind") != "trainer" or message.data.get("level") != "info"
        ):
            out.print(f"  {message.data['event_type']}: {message.data['message']}", markup=False)
    for epoch in view.epochs.close():
        _say_epoch(epoch, out)
    view.job = api.get(f"{JOBS}/{job_id}")
    _verdict(view.job, out)
    return view.job


def _say_epoch(epoch: Epoch, out: Console) -> None:
    out.print(f"  epoch {epoch.number}/{epoch.total or '?'}  {metrics_line(epoch.metrics)}", markup=False)


def _as_json(api: Api, job_id: str) -> dict[str, Any]:
    """One JSON object a line for each message, the job itself last."""
    for message in messages(api, job_id):
        if message is not None:
            line = {"event": message.event, "id": message.id, "data": message.data}
            sys.stdout.write(jsonlib.dumps(line, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    job: dict[str, Any] = api.get(f"{JOBS}/{job_id}")
    sys.stdout.write(jsonlib.dumps({"event": "job", "data": job}, ensure_ascii=False) + "\n")
    return job


def _verdict(job: dict[str, Any], out: Console) -> None:
    if job["state"] not in TERMINAL:
        raise Fault(
            f"the stream of job {job['id']} ended while it is {job['state']}", cure=f"tiphys job watch {job['id']}"
        )
    out.print(
        state(job["state"]),
        f" in {duration(seconds_taken(job))}",
        f": {job['message']}" if job["message"] else "",
        sep="",
        markup=False,
    )
