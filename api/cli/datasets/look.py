"""`tiphys dataset show` and `diff`: what is in a dataset, for people's eyes, and how two of them differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.client import DATASETS, Api, part
from api.cli.datasets.follow import do_task, fetch_output, lies_here, output
from api.cli.datasets.here import run_here
from api.cli.datasets.options import Ratio, Seed, SplitText, split_words_of, the_split
from api.cli.datasets.shown import many, say_classes, say_head, say_numbers
from api.cli.datasets.source import Here, Registered, Source, Task, named
from api.cli.fault import Exit, Fault
from api.cli.output import Json, console, say_json

commands = typer.Typer()


@commands.command()
def show(
    context: typer.Context,
    source: Source,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE.png", help="Draw samples with their labels there.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE.html", help="Write numbers and samples as a page there.")
    ] = None,
    task: Task = None,
    ratio: Ratio = None,
    seed: Seed = None,
    split: SplitText = None,
    json: Json = False,
) -> None:
    """Show a dataset's classes, counts, sizes and split, and a sheet of samples with their labels drawn."""
    wanted, asked = named(source), the_split(ratio, seed, split)
    if isinstance(wanted, Here):
        places = {"--sheet": sheet, "--page": page}

        def words(roots: list[Path], work: Path) -> list[str]:
            files = [word for name, file in places.items() if file for word in (name, str(file.expanduser().resolve()))]
            title = ["--title", wanted.name]
            return ["show", str(roots[0]), *_task(task), *split_words_of(asked, work), *files, *title]

        _, found = run_here(context.obj, [wanted], words, json=json)
        drawn = {"sheet": sheet, "page": page}
    else:
        api = Api.connect(context.obj)
        ended = do_task(api, wanted.id, "show", {"task": task, "split": asked}, json=json)
        found, drawn = ended["result"], {}
        for name, file, target in (("sheet", "sheet.png", sheet), ("page", "page.html", page)):
            made = output(ended, file)
            if made and target:
                drawn[name] = fetch_output(api, ended, made, target.expanduser().resolve(), json=json)
            elif made:
                drawn[name] = lies_here(made)
    told = {name: str(file.expanduser().resolve()) for name, file in drawn.items() if file}
    if json:
        return say_json(found | told)
    say_head(wanted.name, found)
    say_numbers(found)
    say_classes(found.get("classes") or [])
    errors = len(found.get("errors") or [])
    if errors:
        console().print(f"[red]✘ {many(errors, 'error')}[/]: tiphys dataset check {source}")
    for name, where in told.items():
        console().print(f"  {name:8} {where}", markup=False, soft_wrap=True)


@commands.command()
def diff(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="A registered dataset's id, or a folder or .zip here.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, as it is now.")],
    task: Task = None,
    json: Json = False,
) -> None:
    """Tell how two datasets differ: classes, images, labels."""
    one, other = named(a), named(b)
    if isinstance(one, Registered) and isinstance(other, Registered):
        api = Api.connect(context.obj)
        found = do_task(api, one.id, "diff", {"other": other.id, "task": task}, json=json)["result"]
    else:
        here = [_here(context.obj, item) for item in (one, other)]
        code, found = run_here(context.obj, here, lambda roots, _: ["diff", *map(str, roots), *_task(task)], json=json)
        if code and "same" not in found:
            from api.cli.datasets.check import refusal

            raise refusal(f"{a} (or {b})", found)
    if json:
        return say_json(found)
    _say_difference(a, b, found)


def _here(home: Path | None, item: Here | Registered) -> Here:
    """Where a registered dataset lies, to be read together with one of this machine."""
    if isinstance(item, Here):
        return item
    row = Api.connect(home).get(f"{DATASETS}/{part(item.id)}")
    if row["uri"].startswith("file://") and not Path(row["uri"].removeprefix("file://")).exists():
        raise Fault(
            f"dataset {item.id} lies at {row['uri']}, not on this machine",
            cure=f"fetch it first: tiphys dataset export {item.id} FOLDER",
            exit_code=Exit.NOT_FOUND,
        )
    return Here(row["uri"], item.id)


def _say_difference(a: str, b: str, found: dict[str, Any]) -> None:
    out = console()
    if found.get("same"):
        return out.print(f"[green]✔ {a} and {b} hold the same[/]", soft_wrap=True)
    out.print(f"[bold]{a} → {b}[/]", soft_wrap=True)
    for sentence in found.get("told") or []:
        out.print(f"  {sentence}", markup=False)


def _task(task: str | None) -> list[str]:
    return ["--task", task] if task else []
