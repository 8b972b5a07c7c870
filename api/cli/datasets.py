"""`tiphys dataset …`: register, check, list and show datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.client import DATASETS, Api, part
from api.cli.fault import Exit, Fault
from api.cli.output import Json, ago, console, say_json, table

dataset = typer.Typer(help="Register, check and list datasets.", no_args_is_help=True, rich_markup_mode=None)

SHOWN = 50
"""Problems listed by a check; the JSON report has them all."""


@dataset.command()
def add(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A folder (registered where it lies), a .zip (uploaded), or a URI.")],
    id: Annotated[str | None, typer.Option("--id", help="The dataset's id; default: its name.")] = None,
    json: Json = False,
) -> None:
    """Register a dataset and check it; exits 1 if something is wrong with it."""
    api = Api.connect(context.obj)
    path = Path(source).expanduser()
    # A folder may have a dot in its name, and `.` is a folder, too.
    made_id = id or (path.resolve().name if path.is_dir() else Path(source.rstrip("/")).name.removesuffix(".zip"))
    if "://" in source:
        made = api.post(DATASETS, {"id": made_id, "uri": source})
    elif path.is_dir():
        made = api.post(DATASETS, {"id": made_id, "path": str(path.resolve())})
    elif path.is_file():
        with path.open("rb") as file:
            made = api.post(
                DATASETS, data={"id": made_id}, files={"file": (path.name, file, "application/zip")}, timeout=None
            )
    else:
        raise Fault(f"there is no folder or file {path}", cure="check the path", exit_code=Exit.NOT_FOUND)
    report = api.post(f"{DATASETS}/{made['id']}/check", timeout=None)
    broken = bool((report.get("check_report") or {}).get("errors"))
    if json:
        say_json(report)
    else:
        console().print(f"dataset {made['id']} is registered ({made['uri']})", markup=False)
        _print_report(report)
        after = "correct it, then: tiphys dataset check" if broken else "train on it: tiphys train MODEL --dataset"
        console().print(f"{after} {made['id']}")
    if broken:
        raise typer.Exit(Exit.FAILED)


@dataset.command()
def check(
    context: typer.Context, id: Annotated[str, typer.Argument(help="A dataset's id.")], json: Json = False
) -> None:
    """Check a dataset anew and list everything that is wrong with it; exits 1 if something is."""
    report = Api.connect(context.obj).post(f"{DATASETS}/{part(id)}/check", timeout=None)
    if json:
        say_json(report)
    else:
        _print_report(report)
    if (report.get("check_report") or {}).get("errors"):
        raise typer.Exit(Exit.FAILED)


@dataset.command("list")
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
            d["uri"],
        )
        for d in answer["items"]
    ]
    if not rows:
        return console().print("No datasets yet. Register one: tiphys dataset add DIR")
    table(("ID", "LAYOUT", "TASK", "CLASSES", "IMAGES", "ADDED", "URI"), rows)


@dataset.command()
def show(
    context: typer.Context, id: Annotated[str, typer.Argument(help="A dataset's id.")], json: Json = False
) -> None:
    """Show a dataset's classes, counts and version."""
    found = Api.connect(context.obj).get(f"{DATASETS}/{part(id)}")
    if json:
        return say_json(found)
    out = console()
    out.print(f"[bold]{found['id']}[/]  {found['layout'] or 'not checked yet'}  {found['task'] or ''}")
    for name in ("uri", "version_hash", "checked_at"):
        out.print(f"  {name:13} {found[name] or '-'}", markup=False)
    for name, value in (found["counts"] or {}).items():
        if not isinstance(value, dict | list):
            out.print(f"  {name:13} {value}", markup=False)
    classes = found["classes"] or []
    per_class = (found["counts"] or {}).get("per_class") or {}
    if classes:
        table(
            ("INDEX", "ID", "CLASS", "ANNOTATIONS"),
            [(c["index"], c["id"], c["name"], per_class.get(c["name"])) for c in classes],
        )


@dataset.command()
def delete(
    context: typer.Context, id: Annotated[str, typer.Argument(help="A dataset's id.")], json: Json = False
) -> None:
    """Forget a dataset; an uploaded one is deleted from storage, one that lies elsewhere stays there."""
    Api.connect(context.obj).delete(f"{DATASETS}/{part(id)}")
    if json:
        return say_json({"deleted": id})
    console().print(f"dataset {id} is deleted")


def _print_report(found: dict[str, Any]) -> None:
    report = found.get("check_report") or {}
    errors, warnings = report.get("errors", []), report.get("warnings", [])
    out = console()
    counts = report.get("counts") or {}
    classes = len(report.get("classes") or [])
    sizes = f"{counts.get('images', 0)} images, {counts.get('annotations', 0)} annotations"
    out.print(f"  {report.get('layout')}, {classes} classes, {sizes}", markup=False)
    for title, problems, style in (("errors", errors, "red"), ("warnings", warnings, "yellow")):
        if not problems:
            continue
        out.print(f"  [{style}]{len(problems)} {title}[/]")
        for problem in problems[:SHOWN]:
            named = (("file", ""), ("image_id", "image "), ("annotation_id", "annotation "))
            where = ", ".join(f"{word}{problem[key]}" for key, word in named if problem.get(key) is not None)
            out.print(
                f"    {where}: {problem['message']} - {problem['cure']}"
                if where
                else f"    {problem['message']} - {problem['cure']}",
                markup=False,
            )
        if len(problems) > SHOWN:
            out.print(
                f"    … and {len(problems) - SHOWN} more: tiphys dataset check {found['id']} --json", markup=False
            )
    if not errors:
        out.print("  [green]fit to train on[/]")
