"""`tiphys dataset split`: how a dataset is divided, resolved into image ids, and kept as its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.client import DATASETS, Api, part
from api.cli.datasets.check import refusal
from api.cli.datasets.follow import do_task, fetch_output, output
from api.cli.datasets.here import run_here
from api.cli.datasets.options import Ratio, Seed, SplitText, split_words_of, the_split
from api.cli.datasets.shown import say_classes, split_words
from api.cli.datasets.source import Here, Source, Task, named
from api.cli.fault import Exit, Fault
from api.cli.output import Json, console, plain, say_json

commands = typer.Typer()


@commands.command()
def split(
    context: typer.Context,
    source: Source,
    ratio: Ratio = None,
    seed: Seed = None,
    stratify: Annotated[
        bool | None, typer.Option("--stratify/--no-stratify", help="Keep the classes' shares alike in all parts.")
    ] = None,
    group_by: Annotated[
        str | None, typer.Option("--group-by", help="An attribute whose images stay together in one part.")
    ] = None,
    text: SplitText = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.json", help="Write the ids of the images there.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Jobs that name no split use this one from now on.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Forget the saved split.")] = False,
    task: Task = None,
    json: Json = False,
) -> None:
    """Show how a dataset is divided into train, val and test: by its own files, or as asked for here."""
    wanted, asked = named(source), the_split(ratio, seed, text, stratify=stratify, group_by=group_by)
    if isinstance(wanted, Here):
        if save or forget:
            raise Fault(
                f"{source} is not registered: no job would find a split saved for it",
                cure=f"register it first: tiphys dataset add {source}",
                exit_code=Exit.USAGE,
            )

        def words(roots: list[Path], work: Path) -> list[str]:
            target = ["--out", str(out.expanduser().resolve())] if out else []
            asked_task = ["--task", task] if task else []
            return ["split", str(roots[0]), *asked_task, *split_words_of(asked, work), *target]

        code, found = run_here(context.obj, [wanted], words, json=json)
        if code:
            raise refusal(source, found)
    else:
        api = Api.connect(context.obj)
        if forget:
            return _forget(api, wanted.id, json=json)
        if save and asked is None:
            raise Fault("--save: there is nothing to save", cure="say how: --ratio 0.8,0.1,0.1", exit_code=Exit.USAGE)
        ended = do_task(api, wanted.id, "split", {"split": asked, "save": save or None, "task": task}, json=json)
        found, made = ended["result"], output(ended, "split.json")
        if out and made:
            fetch_output(api, ended, made, out.expanduser().resolve(), json=json)
    if json:
        return say_json(found)
    _say(wanted.name, found, saved=save, out=out)


def _say(name: str, found: dict[str, Any], *, saved: bool, out: Path | None) -> None:
    printer = console()
    printer.print(f"[bold]{plain(name)}[/]  {plain(split_words(found['split']))}")
    say_classes(found.get("classes") or [])
    if saved:
        printer.print("[green]✔ saved[/]: jobs that name no split use it")
    if out:
        printer.print(f"  ids        {out.expanduser().resolve()}", markup=False, soft_wrap=True)


def _forget(api: Api, id: str, *, json: bool) -> None:
    row = api.put(f"{DATASETS}/{part(id)}/split", {"split": None})
    if json:
        return say_json(row)
    console().print(f"dataset {plain(id)} is divided as its own files say, else automatically")
