"""`tiphys dataset check` and `fix`: everything that is wrong with a dataset, and a repaired copy of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.client import Api
from api.cli.datasets.follow import do_task, fetch_output, lies_here, output
from api.cli.datasets.here import run_here
from api.cli.datasets.shown import say_fixes, say_report
from api.cli.datasets.source import Here, Source, Task, named
from api.cli.datasets.unpack import fetch_folder, new_place
from api.cli.fault import Exit, Fault
from api.cli.output import Json, console, say_json

commands = typer.Typer()

TargetOption = Annotated[
    str | None, typer.Option("--target", help="Check what this can hold, too: yolo, coco, imagefolder, masks, dice.")
]
Page = Annotated[Path | None, typer.Option("--page", metavar="FILE.html", help="Write the report as a page there.")]


@commands.command()
def check(
    context: typer.Context,
    source: Source,
    task: Task = None,
    target: TargetOption = None,
    page: Page = None,
    fix_into: Annotated[
        Path | None, typer.Option("--fix", metavar="FOLDER", help="Write a repaired copy there, and say what it did.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every finding, not the first of each kind.")] = False,
    json: Json = False,
) -> None:
    """List everything that is wrong with a dataset, at once; exits 1 if something is."""
    wanted = named(source)
    if isinstance(wanted, Here):
        report, shown = _check_here(context.obj, wanted, task=task, target=target, page=page, json=json)
    else:
        api = Api.connect(context.obj)
        ended = do_task(api, wanted.id, "check", {"task": task, "target": target}, json=json)
        report = ended["result"]
        shown = keep_page(api, ended, page, json=json)
    broken = bool(report.get("errors"))
    if json and fix_into is None:
        say_json(report | {"page": shown})
    elif not json:
        again = f"tiphys dataset check {shlex.quote(source)}"
        if shown is None and (report.get("errors") or report.get("warnings")):
            shown = f"{again} --page FILE.html"
        say_report(wanted.name, report, everything=everything, page=shown, more=f"{again} --all")
        if broken and report.get("repairs") and fix_into is None:
            into = " FOLDER" if isinstance(wanted, Here) else ""
            console().print(
                f"  repair it  tiphys dataset fix {shlex.quote(source)}{into}", markup=False, soft_wrap=True
            )
    if fix_into is not None:
        broken = _fix(context.obj, source, fix_into, task=task, json=json)
    if broken:
        raise typer.Exit(Exit.FAILED)


@commands.command()
def fix(
    context: typer.Context,
    source: Source,
    out: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="The repaired copy; without it, it takes an id's place.")
    ] = None,
    task: Task = None,
    json: Json = False,
) -> None:
    """Write a repaired copy of a dataset and say what was done; the dataset itself is never touched.

    Where nothing can be repaired there is no copy.
    """
    if _fix(context.obj, source, out, task=task, json=json):
        raise typer.Exit(Exit.FAILED)


def _fix(home: Path | None, source: str, out: Path | None, *, task: str | None, json: bool) -> bool:
    """Returns whether errors are left."""
    wanted = named(source)
    if isinstance(wanted, Here):
        if out is None:
            raise Fault(
                f"where shall the repaired copy of {source} go?",
                cure=f"name a new folder: tiphys dataset fix {source} FOLDER",
                exit_code=Exit.USAGE,
            )
        place = new_place(out)
        code, result = run_here(
            home, [wanted], lambda roots, _: ["fix", str(roots[0]), str(place), *_task(task)], json=json
        )
        if code and "fixes" not in result:
            raise refusal(source, result)
        where = str(place) if result["fixes"] else ""
    else:
        api = Api.connect(home)
        ended = do_task(api, wanted.id, "fix", {"task": task, "register": out is None}, json=json)
        result = ended["result"]
        where = result.get("registered") or ""
        if out is not None:
            made = output(ended, f"{wanted.id}-fixed.zip")
            where = str(fetch_folder(api, ended, made, out, json=json)) if made else where
    if json:
        say_json(result | {"out": where or None})
    else:
        say_fixes(result)
        if where:
            console().print(f"  lies in    {where}", markup=False, soft_wrap=True)
    return errors_left(result)


def errors_left(result: dict[str, Any]) -> bool:
    """Tells whether a repair left errors behind."""
    return any(problem.get("level", "error") == "error" for problem in result.get("left") or [])


def keep_page(api: Api, ended: dict[str, Any], page: Path | None, *, json: bool) -> str | None:
    """Returns where a task's report lies as a page: at the place asked for, else in storage, where it can be read."""
    made = output(ended, "report.html") or output(ended, "page.html")
    if made is None:
        return None
    if page is not None:
        return str(fetch_output(api, ended, made, page.expanduser().resolve(), json=json))
    here = lies_here(made)
    return str(here) if here else None


def refusal(source: str, result: dict[str, Any]) -> Fault:
    """Returns the fault of a dataset that could not be worked on."""
    from api.datasets.findings import cure_of, first_error

    cure = cure_of(result, f"see all of it: tiphys dataset check {source}")
    return Fault(first_error(result), cure=cure, body=result)


def _check_here(
    home: Path | None, wanted: Here, *, task: str | None, target: str | None, page: Path | None, json: bool
) -> tuple[dict[str, Any], str | None]:
    file = page.expanduser().resolve() if page else None

    def words(roots: list[Path], _: Path) -> list[str]:
        wanted_target = ["--target", target] if target else []
        asked = ["--page", str(file), "--title", wanted.name] if file else []
        return ["check", str(roots[0]), *_task(task), *wanted_target, *asked]

    _, report = run_here(home, [wanted], words, json=json)
    return report, str(file) if file else None


def _task(task: str | None) -> list[str]:
    return ["--task", task] if task else []
