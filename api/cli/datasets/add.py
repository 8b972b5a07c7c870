"""`tiphys dataset add`: register a folder, a .zip or a URI, check it, and where told so repair it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.client import DATASETS, Api, part
from api.cli.datasets.bar import Bar
from api.cli.datasets.check import errors_left, keep_page
from api.cli.datasets.follow import counted, do_task
from api.cli.datasets.shown import say_fixes, say_report
from api.cli.datasets.source import Task
from api.cli.fault import Exit, Fault
from api.cli.output import Json, console, plain, say_json
from api.datasets.progress import Pace

commands = typer.Typer()


@commands.command()
def add(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A folder (registered where it lies), a .zip (uploaded), or a file:// or s3:// URI.")
    ],
    id: Annotated[str | None, typer.Option("--id", help="The dataset's id; default: its name.")] = None,
    task: Task = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Where something is wrong, register a repaired copy and say what was done.")
    ] = False,
    json: Json = False,
) -> None:
    """Register a dataset and check it; exits 1 if something is wrong with it."""
    api = Api.connect(context.obj)
    try:
        made = _register(api, source, id, json=json)
    except Fault as fault:
        if id is None:  # nobody chose the one that is refused: it is the source's name
            fault.cure = fault.cure.replace("choose another id", "choose another id with --id NAME")
        raise
    options = {"task": task}
    ended = do_task(api, made["id"], "check", options, json=json)
    report, page = ended["result"], keep_page(api, ended, None, json=json)
    broken = bool(report.get("errors"))
    more = f"tiphys dataset check {made['id']} --all"
    if not json:
        console().print(f"registered [bold]{plain(made['id'])}[/]  {plain(made['uri'])}", soft_wrap=True)
        if made["source"] == "repaired":
            note = "it stands for the repaired copy made before: what you changed since is not in it; to take it anew,"
            console().print(f"  note       {note} first: tiphys dataset delete {made['id']}", soft_wrap=True)
        say_report(made["id"], report, everything=False, page=page, more=more)
    fixed: dict[str, Any] | None = None
    if fix and (broken or report.get("warnings")):
        fixed = do_task(api, made["id"], "fix", {"task": task, "register": True}, json=json)["result"]
        broken = errors_left(fixed) if fixed.get("registered") else broken
        if not json:
            say_fixes(fixed)
            if fixed.get("registered"):
                console().print(f"  registered {fixed['registered']}", markup=False, soft_wrap=True)
    if json:
        say_json(api.get(f"{DATASETS}/{part(made['id'])}") | {"fix": fixed, "page": page})
    elif broken:
        mends = not fix and report.get("repairs")
        cure = f"tiphys dataset fix {made['id']} repairs a copy; or " if mends else ""
        console().print(f"  next       {cure}correct it, then: tiphys dataset check {made['id']}", soft_wrap=True)
    else:
        trains = f"tiphys train ultralytics/yolo11n --dataset {made['id']}"
        if report.get("task") == "image_classification":  # the catalogue has detectors only
            trains = "a trainer of your own, as framework: custom in a job file"
        console().print(f"  train      {trains}", soft_wrap=True)
    if broken:
        raise typer.Exit(Exit.FAILED)


def _register(api: Api, source: str, id: str | None, *, json: bool) -> dict[str, Any]:
    path = Path(source).expanduser()
    # A folder may have a dot in its name, and `.` is a folder, too.
    made_id = id or (path.resolve().name if path.is_dir() else Path(source.rstrip("/")).name.removesuffix(".zip"))
    made: dict[str, Any]
    if "://" in source:
        made = api.post(DATASETS, {"id": made_id, "uri": source})
    elif path.is_dir():
        try:
            made = api.post(DATASETS, {"id": made_id, "path": str(path.resolve())})
        except Fault as fault:
            if not (isinstance(fault.body, dict) and fault.body.get("upload")):
                raise
            made = _pack_and_upload(api, path.resolve(), made_id, json=json)
    elif path.is_file():
        made = _upload(api, path, made_id, json=json)
    else:
        raise Fault(f"there is no folder or file {path}", cure="check the path", exit_code=Exit.NOT_FOUND)
    return made


def _pack_and_upload(api: Api, folder: Path, made_id: str, *, json: bool) -> dict[str, Any]:
    """The platform cannot read this machine's disk: the folder goes there as one .zip."""
    from api.datasets.outputs import pack  # brings the storage along, which no other command needs

    with tempfile.TemporaryDirectory(prefix="tiphys-") as scratch:
        pace = Pace()
        with Bar(silent=json) as bar:
            file = pack(folder, Path(scratch) / f"{made_id}.zip", hear=lambda tick: bar.take(pace.take(tick)))
        return _upload(api, file, made_id, json=json)


def _upload(api: Api, file: Path, made_id: str, *, json: bool) -> dict[str, Any]:
    with counted(file, json=json) as shown:
        made: dict[str, Any] = api.post(
            DATASETS, data={"id": made_id}, files={"file": (file.name, shown, "application/zip")}, timeout=None
        )
    return made
