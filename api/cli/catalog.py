"""`tiphys frameworks` and `tiphys models`: what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.client import Api, part
from api.cli.output import Json, console, say_json, table

commands = typer.Typer()


@commands.command()
def frameworks(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One framework, with its settings.")] = None,
    json: Json = False,
) -> None:
    """List the frameworks, or one with its hyperparameters."""
    api = Api.connect(context.obj)
    answer = api.get("/api/v1/trainer/frameworks" + (f"/{part(name)}" if name else ""))
    if json:
        return say_json(answer)
    if name:
        schema = answer["hyperparameters"]["properties"]
        rows = [(k, p.get("type"), p.get("default"), p.get("description")) for k, p in schema.items()]
        return table(("SETTING", "TYPE", "DEFAULT", "WHAT IT DOES"), rows, title=answer["title"])
    rows = [(f["name"], f["title"], ", ".join(f["tasks"]), f["image"]) for f in answer["items"]]
    table(("NAME", "TITLE", "TASKS", "IMAGE"), rows)
    console().print("[dim]one of them with its settings: tiphys frameworks NAME[/]")


@commands.command()
def models(
    context: typer.Context,
    framework: Annotated[str | None, typer.Option(help="Only this framework's.")] = None,
    task: Annotated[str | None, typer.Option(help="Only those for this task.")] = None,
    json: Json = False,
) -> None:
    """List the models."""
    answer = Api.connect(context.obj).get("/api/v1/trainer/models", framework=framework, task=task)
    if json:
        return say_json(answer)
    rows = [(f"{m['framework']}/{m['name']}", m["task"], m["title"]) for m in answer["items"]]
    table(("MODEL", "TASK", "TITLE"), rows)
