"""`tiphys jobs` and `tiphys job …`: list, look into, follow, cancel, retry and delete jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.checkpoint import download
from api.cli.client import JOBS, Api
from api.cli.datasets.shown import short
from api.cli.datasets.told import conversion_words
from api.cli.fault import Exit
from api.cli.output import Json, ago, console, duration, number, plain, say_json, seconds_taken, size, state, table
from api.cli.output import text as shown

commands = typer.Typer()
job = typer.Typer(help="Look into one job, follow it, or end it.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="A job's id, a unique beginning of it, its name, or `last`.")]


@commands.command("jobs")
def list_jobs(
    context: typer.Context,
    wanted: Annotated[str | None, typer.Option("--state", help="Only jobs in this state.")] = None,
    project: Annotated[str | None, typer.Option(help="Only jobs of this project.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only jobs with this label, as key=value.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 20,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    api = Api.connect(context.obj)
    answer = api.get(JOBS, state=wanted, project=project, label=label, limit=limit)
    if json:
        return say_json(answer)
    rows = [
        (
            j["id"],
            j["name"],
            state(j["state"]),
            j["reason"],
            f"{j['framework']}/{j['model']}",
            j["dataset"],
            epochs(j),
            best(j),
            ago(j["created_at"]),
        )
        for j in answer["items"]
    ]
    if not rows:
        return console().print("No jobs yet. Submit one: tiphys train ultralytics/yolo11n --dataset DIR --watch")
    table(("ID", "NAME", "STATE", "REASON", "MODEL", "DATASET", "EPOCH", "BEST", "CREATED"), rows)
    if answer["next_cursor"]:
        console().print(f"[dim]more: raise --limit (now {limit})[/]")


@job.command()
def show(context: typer.Context, id: Id, json: Json = False) -> None:
    """Show what was asked for, how it stands, its steps and its results."""
    api = Api.connect(context.obj)
    found = api.get(f"{JOBS}/{api.job_id(id)}")
    if json:
        return say_json(found)
    out = console()
    out.print(
        f"[bold]{plain(found['name'])}[/]  {found['id']}  attempt {found['attempt']}  ", state(found["state"]), end=""
    )
    out.print(f"  ({found['reason']})" if found["reason"] else "")
    if found["message"]:
        out.print(f"  {found['message']}", markup=False)
    spec = found["spec"]
    facts = {
        "model": f"{found['framework']}/{found['model']}  ({found['task']})",
        "dataset": dataset_words(found),
        **conversion_facts(found.get("conversion")),
        "settings": ", ".join(f"{k} {v}" for k, v in spec.get("hyperparameters", {}).items() if v is not None),
        "epoch": epochs(found),
        "best": best(found),
        "took": duration(seconds_taken(found)),
        "labels": ", ".join(f"{k}={v}" for k, v in found["labels"].items()) or None,
        "workflow": found["links"].get("argo"),
    }
    for name, value in facts.items():
        if value:
            out.print(f"  {name:9} {value}", markup=False)
    table(
        ("STEP", "PHASE", "TOOK", "MESSAGE"),
        [(s["title"], s["phase"], duration(seconds_taken(s)), s["message"]) for s in found["steps"]],
    )


@job.command()
def watch(context: typer.Context, id: Id, json: Json = False) -> None:
    """Follow a job live until it ends; exits 0 if it succeeded, 1 if it failed, 5 if it was cancelled."""
    api = Api.connect(context.obj)
    raise typer.Exit(follow(api, api.job_id(id), json=json))


def follow(api: Api, job_id: str, *, json: bool) -> Exit:
    """Follow a job to its end and turn its last state into an exit code."""
    from api.cli.watch import watch_job  # loads Rich's live display, 60 ms that no other command needs

    try:
        last = watch_job(api, job_id, json=json)
    except KeyboardInterrupt:
        if not json:
            console().print(f"\njob {job_id} goes on; follow it: tiphys job watch {job_id}")
            console().print(f"end it: tiphys job cancel {job_id}")
        return Exit.INTERRUPTED
    return {"succeeded": Exit.OK, "cancelled": Exit.CANCELLED}.get(last["state"], Exit.FAILED)


@job.command()
def logs(
    context: typer.Context,
    id: Id,
    step: Annotated[str, typer.Option(help="download, convert, train, upload, report or on-exit.")] = "train",
    attempt: Annotated[int | None, typer.Option(help="Which attempt; default: the current one.")] = None,
    tail: Annotated[int, typer.Option(help="How many of the last lines.", min=0)] = 200,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the step ends.")] = False,
    json: Json = False,
) -> None:
    """Print a step's output."""
    api = Api.connect(context.obj)
    job_id = api.job_id(id)
    query: dict[str, Any] = {"step": step, "tail": tail, "follow": following}
    if attempt is not None:
        query["attempt"] = attempt
    pieces = api.stream(f"{JOBS}/{job_id}/logs", **query)
    if json:
        text = b"".join(pieces).decode(errors="replace")
        return say_json({"step": step, "lines": text.splitlines()})
    silent = True
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        silent = False
    if silent:
        _say_why_silent(api, job_id, step)


def _say_why_silent(api: Api, job_id: str, step: str) -> None:
    steps = api.get(f"{JOBS}/{job_id}")["steps"]
    phase = next((s["phase"] for s in steps if s["name"] == step), "unknown")
    failed = next((s for s in steps if s["phase"] in ("Failed", "Error") and s["name"] != step), None)
    print(f"step {step} has printed nothing; it is {phase}", file=sys.stderr)
    if failed:
        print(f"step {failed['name']} failed: {failed['message']}", file=sys.stderr)
        print(f"its log: tiphys job logs {job_id} --step {failed['name']}", file=sys.stderr)


@job.command()
def events(context: typer.Context, id: Id, json: Json = False) -> None:
    """List what happened, oldest first."""
    api = Api.connect(context.obj)
    path, items, after = f"{JOBS}/{api.job_id(id)}/events", [], "0"
    while after is not None:
        page = api.get(path, after=after, limit=1000)
        items += page["items"]
        after = page["next_cursor"]
    if json:
        return say_json({"items": items, "next_cursor": None})
    table(
        ("TIME", "KIND", "LEVEL", "EVENT", "MESSAGE"),
        [(e["created_at"][:19], e["kind"], e["level"], e["event_type"], e["message"]) for e in items],
    )


@job.command()
def metrics(context: typer.Context, id: Id, json: Json = False) -> None:
    """List the metrics of each epoch."""
    api = Api.connect(context.obj)
    answer = api.get(f"{JOBS}/{api.job_id(id)}/metrics")
    if json:
        return say_json(answer)
    names = sorted({name for item in answer["items"] for name in item["metrics"] or {}})
    rows = [(item["epoch"], *((item["metrics"] or {}).get(name) for name in names)) for item in answer["items"]]
    table(("EPOCH", *names), rows)


@job.command()
def checkpoints(
    context: typer.Context,
    id: Id,
    get: Annotated[str | None, typer.Option(help="Download this one: best, last, …")] = None,
    to: Annotated[Path | None, typer.Option(help="Where to; default: this folder.")] = None,
    json: Json = False,
) -> None:
    """List the checkpoints, or download one."""
    api = Api.connect(context.obj)
    job_id = api.job_id(id)
    answer = api.get(f"{JOBS}/{job_id}/checkpoints")
    if get:
        return download(api, job_id, get, answer["items"], to, json=json)
    if json:
        return say_json(answer)
    rows = [
        (c["kind"], c["epoch"], size(c["size"]), (c["sha256"] or "-")[:12], headline(c["metrics"]), c["uri"])
        for c in answer["items"]
    ]
    return table(("KIND", "EPOCH", "SIZE", "SHA-256", "METRICS", "URI"), rows)


@job.command()
def cancel(context: typer.Context, id: Id, json: Json = False) -> None:
    """Ask a job to stop; it saves a checkpoint first if one epoch was done."""
    _act(context, id, "cancel", json=json)


@job.command()
def retry(
    context: typer.Context,
    id: Id,
    fresh: Annotated[bool, typer.Option("--fresh", help="From the beginning, not from the last checkpoint.")] = False,
    json: Json = False,
) -> None:
    """Try an ended job again, from its last checkpoint."""
    _act(context, id, "retry", params={"resume": str(not fresh).lower()}, json=json)


@job.command()
def delete(
    context: typer.Context,
    id: Id,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Delete its checkpoints too.")] = False,
    json: Json = False,
) -> None:
    """Delete an ended job's records and logs; its checkpoints stay unless told otherwise."""
    api = Api.connect(context.obj)
    job_id = api.job_id(id)
    api.delete(f"{JOBS}/{job_id}", checkpoints=str(checkpoints).lower())
    if json:
        return say_json({"deleted": job_id})
    console().print(f"job {job_id} is deleted")


def _act(context: typer.Context, id: str, verb: str, *, json: bool, params: dict[str, str] | None = None) -> None:
    api = Api.connect(context.obj)
    answer = api.post(f"{JOBS}/{api.job_id(id)}/{verb}", params=params or {})
    if json:
        return say_json(answer)
    said = f": {answer['message']}" if answer["message"] else ""
    console().print(f"job {answer['id']} is ", state(answer["state"]), plain(said), sep="")


def dataset_words(found: dict[str, Any]) -> str:
    """A job's dataset with what it was when the job trained on it: layout, version, snapshot."""
    taken = found.get("snapshot")
    if not taken:
        return f"{found['dataset']}  snapshot {found['snapshot_id'] or '-'}"
    return (
        f"{found['dataset']}  {taken['layout'] or ''}  version {short(taken['version_hash'])}  snapshot {taken['id']}"
    )


def conversion_facts(made: dict[str, Any] | None) -> dict[str, str]:
    """What became of a job's dataset on its way to the trainer."""
    words = conversion_words(made or {})
    return {name: words[name] for name in ("split", "converted", "left out", "changed", "proof") if name in words}


def epochs(found: dict[str, Any]) -> str:
    """How far it is, as `3/12`."""
    if found["epoch"] is None:
        return "-"
    return f"{found['epoch']}/{found['total_epochs'] or '?'}"


def best(found: dict[str, Any]) -> str:
    """The job's primary metric, if there is a value yet."""
    primary = found.get("primary_metric") or {}
    value = primary.get("value")
    return "-" if value is None else f"{primary['name']} {number(value)}"


def headline(metrics: dict[str, Any] | None) -> str:
    """The one or two numbers a person asks for first."""
    # A trainer may write anything there.
    asked = {k: v for k, v in (metrics or {}).items() if "mAP" in k or "accuracy" in k}
    return "  ".join(f"{k.split('/')[-1]} {shown(v)}" for k, v in asked.items() if v is not None) or "-"
