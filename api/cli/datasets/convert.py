"""`tiphys dataset convert` and `export`: a dataset as a framework reads it, and a copy that stands by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.client import Api
from api.cli.datasets.check import refusal
from api.cli.datasets.follow import do_task, fetch_output
from api.cli.datasets.here import run_here
from api.cli.datasets.options import Ratio, Seed, SplitText, split_words_of, the_split
from api.cli.datasets.shown import say_head
from api.cli.datasets.source import Here, Source, Task, named
from api.cli.datasets.told import say_conversion
from api.cli.datasets.unpack import fetch_folder, new_place
from api.cli.fault import Exit, Fault
from api.cli.output import Json, console, say_json

commands = typer.Typer()

TARGETS = ("yolo", "coco", "imagefolder", "masks", "dice")


def _target(value: str) -> str:
    if value not in TARGETS:
        raise Fault(f"there is no target {value!r}", cure=f"use one of: {', '.join(TARGETS)}", exit_code=Exit.USAGE)
    return value


@commands.command()
def convert(
    context: typer.Context,
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; a new folder.")],
    to: Annotated[str, typer.Option("--to", help="yolo, coco, imagefolder, masks or dice.")],
    task: Task = None,
    ratio: Ratio = None,
    seed: Seed = None,
    split: SplitText = None,
    labels_only: Annotated[bool, typer.Option("--labels-only", help="Labels, and no images.")] = False,
    json: Json = False,
) -> None:
    """Write a dataset as what a framework reads, and prove that nothing was lost."""
    wanted, asked, target = named(source), the_split(ratio, seed, split), _target(to)
    place = new_place(out)
    if isinstance(wanted, Here):

        def words(roots: list[Path], work: Path) -> list[str]:
            only = ["--labels-only"] if labels_only else []
            parts = [*_task(task), *split_words_of(asked, work), *only]
            return ["convert", str(roots[0]), str(place), "--to", target, *parts]

        code, made = run_here(context.obj, [wanted], words, json=json)
        if code:
            raise refusal(source, made)
    else:
        api = Api.connect(context.obj)
        options = {"to": target, "task": task, "split": asked, "labels_only": labels_only or None}
        ended = do_task(api, wanted.id, "convert", options, json=json)
        made = ended["result"]
        place = fetch_folder(api, ended, ended["outputs"][0], out, json=json)
    _say(wanted.name, made, place, json=json)


@commands.command()
def export(
    context: typer.Context,
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="FILE.zip|FOLDER", help="Where to.")],
    to: Annotated[str, typer.Option("--to", help="dice, yolo, coco, imagefolder or masks.")] = "dice",
    task: Task = None,
    json: Json = False,
) -> None:
    """Write a copy of a dataset that stands by itself: real files, relative paths, one .zip or a folder."""
    wanted, target = named(source), _target(to)
    place = new_place(out)
    if isinstance(wanted, Here):
        code, made = run_here(
            context.obj,
            [wanted],
            lambda roots, _: ["export", str(roots[0]), str(place), "--to", target, *_task(task)],
            json=json,
        )
        if code:
            raise refusal(source, made)
    else:
        api = Api.connect(context.obj)
        ended = do_task(api, wanted.id, "export", {"to": target, "task": task}, json=json)
        made, zipped = ended["result"], ended["outputs"][0]
        if place.suffix.lower() == ".zip":
            fetch_output(api, ended, zipped, place, json=json)
        else:
            fetch_folder(api, ended, zipped, out, json=json)
    _say(wanted.name, made, place, json=json)


def _say(name: str, made: dict[str, Any], place: Path, *, json: bool) -> None:
    if json:
        return say_json(made | {"out": str(place)})
    say_head(name, made)
    say_conversion(made)
    console().print(f"  lies in    {place}", markup=False, soft_wrap=True)


def _task(task: str | None) -> list[str]:
    return ["--task", task] if task else []
