"""`tiphys demo`: a real detector of handwritten digits, from nothing to predictions, with its steps told."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import typer

from api.cli.client import DATASETS, JOBS, Api, find_home
from api.cli.datasets.follow import do_task
from api.cli.fault import Fault
from api.cli.jobs import follow
from api.cli.output import Json, console, duration, number, say_json
from api.cli.up import start

commands = typer.Typer()

DATASET = "digits"


@commands.command()
def demo(context: typer.Context, json: Json = False) -> None:
    """Make a small dataset, start the platform, and train a detector on it while you watch."""
    from api.cli.train import read_mapping  # the job file's reader; PyYAML is loaded with it
    from api.settings import SOURCE

    began = time.monotonic()
    home = find_home(context.obj)
    examples = SOURCE / "workflows" / "examples"
    out = console()

    def tell(number: int, text: str) -> None:
        if not json:
            out.print(f"[bold]{number}.[/] {text}")

    # Where a dataset of this id lies by its key: so `tiphys run` and the examples find it too, without any API.
    folder = home / "storage" / "datasets" / DATASET
    tell(1, f"making a DICE 1.0 dataset out of real handwritten digits: {folder}")
    _make_dataset(examples / "make_digits.py", folder)
    tell(2, "starting API and reconciler in the background")
    try:
        address = start(home)
    except Fault as fault:
        if "cannot listen" not in fault.message:
            raise
        address = start(home, port=0)  # the usual port is somebody else's: any free one will do to look around
    api = Api.connect(home)
    api.post(DATASETS, {"id": DATASET, "path": str(folder)})
    do_task(api, DATASET, "check", {"task": "object_detection"}, json=json)
    job = api.post(JOBS, read_mapping(examples / "digits.yaml"))
    tell(3, f"training {job['framework']}/{job['model']} on it, job {job['id']} (Ctrl-C leaves it running)")
    code = follow(api, job["id"], json=json)
    if code:
        raise typer.Exit(code)
    _finish(api, job["id"], str(address["url"]), home, time.monotonic() - began, json=json)


def _make_dataset(script: Path, folder: Path) -> None:
    if (folder / "annotations_detection.json").exists():
        return
    made = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, check=False)
    if made.returncode:
        words = made.stderr.strip().splitlines()
        raise Fault(
            f"the dataset could not be made: {words[-1] if words else made.returncode}",
            cure=f"run it by hand: {script}",
        )


def _finish(api: Api, job_id: str, url: str, home: Path, seconds: float, *, json: bool) -> None:
    job = api.get(f"{JOBS}/{job_id}")
    checkpoints = {c["kind"]: c for c in api.get(f"{JOBS}/{job_id}/checkpoints")["items"]}
    best = checkpoints["best"]
    picture = home / "storage" / "logs" / f"job-{job_id}" / "plots" / "predictions.jpg"
    if json:
        return say_json({"job": job, "best": best, "picture": str(picture), "seconds": round(seconds, 1)})
    out = console()
    metrics = {
        k: v
        for k, v in (best["metrics"] or job["final_metrics"] or {}).items()
        if k.startswith("val/") and "loss" not in k
    }
    out.print(f"[bold]4.[/] done in {duration(seconds)}")
    out.print(f"   best.pt      {best['uri'].removeprefix('file://')}", soft_wrap=True)
    values = "  ".join(f"{name.removeprefix('val/')} {number(value)}" for name, value in metrics.items())
    out.print(f"   metrics      {values}", markup=False)
    if picture.exists():
        out.print(f"   predictions  {picture}", soft_wrap=True)
    out.print(f"   API          {url}  (reference: {url}/docs)")
    out.print("\nIt stays up. Try next:")
    for command, why in (
        (f"tiphys job show {job_id}", "what was asked for, its steps and results"),
        ("tiphys train ultralytics/yolo11s --dataset digits --set epochs=3 --watch", "a larger model"),
        ("tiphys down", "end it; nothing is lost"),
    ):
        out.print(f"   .venv/bin/{command}  [dim]# {why}[/]", soft_wrap=True)
