"""`tiphys dataset list`, `tasks`, `snapshots` and `delete`: what is registered, and what happened to it."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.client import DATASETS, Api, part
from api.cli.datasets.bar import plain as progress_words
from api.cli.datasets.shown import short
from api.cli.output import Json, ago, console, duration, plain, say_json, seconds_taken, size, state, table

commands = typer.Typer()

Id = Annotated[str, typer.Argument(help="A registered dataset's id.")]


@commands.command("list")
def list_datasets(context: typer.Context, json: Json = False) -> None:
    """List the registered datasets."""
    answer = Api.connect(context.obj).get(DATASETS)
    if json:
        return say_json(answer)
    rows = [
        (
            d["id"],
            d["layout"],
            d["task"],
            len(d["classes"] or []) or None,
            (d["counts"] or {}).get("images"),
            ago(d["created_at"]),
            "being deleted" if d.get("deleting") else d["uri"],
        )
        for d in answer["items"]
    ]
    if not rows:
        return console().print("No datasets yet. Register one: tiphys dataset add DIR")
    table(("ID", "LAYOUT", "TASK", "CLASSES", "IMAGES", "ADDED", "URI"), rows)


@commands.command()
def tasks(
    context: typer.Context,
    id: Id,
    cancel: Annotated[str | None, typer.Option("--cancel", metavar="TASK", help="Cancel this one.")] = None,
    json: Json = False,
) -> None:
    """List the checks, conversions and exports of a dataset, newest first; or cancel one."""
    api, path = Api.connect(context.obj), f"{DATASETS}/{part(id)}/tasks"
    if cancel is not None:
        task = api.delete(f"{path}/{part(cancel)}")
        if json:
            return say_json(task)
        ended = task["state"] in ("succeeded", "failed")
        word = "forgotten" if ended else "being cancelled" if task["state"] == "running" else "cancelled"
        return console().print(f"task {plain(task['id'])} ({task['kind']}) is {word}")
    answer = api.get(path)
    if json:
        return say_json(answer)
    rows = [
        (
            t["id"],
            t["kind"],
            state(t["state"]),
            duration(seconds_taken(t)),
            ago(t["created_at"]),
            _detail(t),
        )
        for t in answer["items"]
    ]
    if not rows:
        return console().print(f"No tasks of {plain(id)} yet. Check it: tiphys dataset check {plain(id)}")
    table(("TASK", "KIND", "STATE", "TOOK", "BEGUN", "DETAIL"), rows)


@commands.command()
def snapshots(context: typer.Context, id: Id, json: Json = False) -> None:
    """List what jobs trained on: train on the same again with `tiphys train … --snapshot`."""
    answer = Api.connect(context.obj).get(f"{DATASETS}/{part(id)}/snapshots")
    if json:
        return say_json(answer)
    rows = [
        (
            s["id"],
            short(s["version_hash"]),
            s["layout"],
            len(s["classes"]),
            *((s.get("images") or {}).get(word) for word in ("train", "val", "test")),
            ago(s["created_at"]),
        )
        for s in answer["items"]
    ]
    if not rows:
        return console().print(f"No snapshots of {plain(id)} yet: each job takes one of what it trains on")
    table(("SNAPSHOT", "VERSION", "LAYOUT", "CLASSES", "TRAIN", "VAL", "TEST", "TAKEN"), rows)


@commands.command()
def delete(context: typer.Context, id: Id, json: Json = False) -> None:
    """Forget a dataset; what lies in the platform's storage is deleted, one that lies elsewhere stays there."""
    Api.connect(context.obj).delete(f"{DATASETS}/{part(id)}")
    if json:
        return say_json({"deleted": id})
    console().print(f"dataset {plain(id)} is deleted")


def _detail(task: dict[str, object]) -> str:
    error, progress = task["error"], task["progress"]
    if isinstance(error, dict):
        return str(error["message"])
    if task["state"] == "running" and isinstance(progress, dict):
        return progress_words(progress)
    made = task["outputs"]
    return ", ".join(f"{m['name']} ({size(m['size'])})" for m in made) if isinstance(made, list) and made else "-"
