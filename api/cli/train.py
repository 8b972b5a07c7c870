"""`tiphys train`, `compile` and `run`: from a request to a job, to a manifest, or to a run without an API."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.client import JOBS, Api, find_home, part
from api.cli.fault import Exit, Fault
from api.cli.last_check import warn
from api.cli.output import Json, console, plain, say_json, table

if TYPE_CHECKING:
    from workflows.spec import JobSpec
    from workflows.training import Run

commands = typer.Typer()

JobFile = Annotated[Path, typer.Argument(help="A job file (YAML).", metavar="JOB.YAML")]
COMPILED_JOB_ID = "22222222"
"""The id a job has that is compiled but never submitted: the same file gives the same YAML."""


@commands.command()
def train(
    context: typer.Context,
    what: Annotated[
        str | None, typer.Argument(metavar="FRAMEWORK/MODEL", help="For example ultralytics/yolo11n.")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="A dataset's id, a path or a URI.")] = None,
    task: Annotated[str | None, typer.Option(help="For example object_detection; default: the model's.")] = None,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="Train on what an earlier job trained on: snap_… of `job show`.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="One setting, as epochs=5 or advanced_config.mosaic=0.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the job.")] = None,
    project: Annotated[str | None, typer.Option(help="The project it belongs to.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A job file (YAML); options given here win over it.")
    ] = None,
    watching: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it ends.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and submit nothing.")] = False,
    json: Json = False,
) -> None:
    """Submit a training job."""
    given = {"dataset": dataset, "snapshot": snapshot, "task": task, "name": name, "project": project}
    body = _request(what, file, given, settings or [])
    _absolute_dataset(body, Path.cwd())
    if not body.get("dataset") and not body.get("snapshot"):
        cure = "name one: --dataset ID (see: tiphys dataset list), or its folder: --dataset ./DIR"
        raise Fault("nothing to train on: no dataset is named", cure=cure, exit_code=Exit.USAGE)
    api = Api.connect(context.obj)
    if body.get("snapshot") and not body.get("dataset"):
        body["dataset"] = api.get(f"/api/v1/snapshots/{part(str(body['snapshot']))}")["dataset_id"]
    if dry_run:
        plan = api.post(JOBS, body, params={"dry_run": "true"})
        warn(api, body, json=json)
        return _show_plan(plan, json=json)
    job = _submit(api, body)
    warn(api, body, json=json)
    if watching:
        from api.cli.jobs import follow  # see there: the live display is loaded only to be shown

        raise typer.Exit(follow(api, job["id"], json=json))
    if json:
        return say_json(job)
    console().print(
        f"job [bold]{job['id']}[/] ({plain(job['name'])}) is {job['state']}; follow it: tiphys job watch {job['id']}"
    )


def _submit(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    try:
        job: dict[str, Any] = api.post(JOBS, body)
    except Fault as fault:
        named = str(body.get("dataset", ""))
        if f"no dataset {named!r}" in fault.message and Path(named).is_dir():
            fault.cure = f"there is a folder {named} here: write --dataset ./{named}"
        raise
    return job


@commands.command("compile")
def compile_job(
    context: typer.Context,
    file: JobFile,
    job_id: Annotated[str, typer.Option(help="The job's id in the workflow.")] = COMPILED_JOB_ID,
    json: Json = False,
) -> None:
    """Print the Argo Workflow a job compiles to."""
    from workflows.manifest import ManifestError, build, to_yaml
    from workflows.training import training_workflow

    spec = _read(file)
    try:
        manifest = build(training_workflow(spec, _run(spec, find_home(context.obj), job_id=job_id, must_exist=False)))
    except (ManifestError, ValueError) as error:
        raise Fault(f"{file}: {error}", exit_code=Exit.USAGE) from None
    if json:
        return say_json(manifest)
    sys.stdout.write(to_yaml(manifest))


@commands.command()
def run(context: typer.Context, file: JobFile, json: Json = False) -> None:
    """Run a job's workflow on this machine, without any API; its results go to the storage in the home folder."""
    from api.cli.local import run_here
    from workflows.keys import new_job_id

    home = find_home(context.obj)
    spec = _read(file)
    raise typer.Exit(run_here(spec, _run(spec, home, job_id=new_job_id(), must_exist=True), home, json=json))


def _request(
    what: str | None, file: Path | None, given: Mapping[str, str | None], settings: list[str]
) -> dict[str, Any]:
    if what is None and file is None:
        raise Fault("nothing to train", cure="name FRAMEWORK/MODEL, or a job file with -f", exit_code=Exit.USAGE)
    body: dict[str, Any] = {}
    if file is not None:
        body = read_mapping(file)
        _absolute_dataset(body, file.parent)
    if what is not None:
        framework, slash, model = what.partition("/")
        if not (framework and slash and model):
            raise Fault(
                f"{what!r} is not FRAMEWORK/MODEL",
                cure="for example ultralytics/yolo11n; see: tiphys models",
                exit_code=Exit.USAGE,
            )
        body |= {"framework": framework, "model": model}
    body |= {name: value for name, value in given.items() if value is not None}
    for setting in settings:
        _set(body, setting)
    return body


def _set(body: dict[str, Any], setting: str) -> None:
    """Apply one `--set`: a dotted path from the job's root, or the bare name of a hyperparameter."""
    from workflows.jobfile import read_job  # PyYAML, which `tiphys --help` does not wait for
    from workflows.problems import SpecError

    path, equals, written = setting.partition("=")
    if not equals or not path:
        raise Fault(f"--set {setting!r} is not NAME=VALUE", cure="for example --set epochs=5", exit_code=Exit.USAGE)
    keys = path.split(".") if "." in path else ["hyperparameters", path]
    for key in keys[:-1]:
        if body.get(key) is None:
            body[key] = {}
        body = body[key]
        if not isinstance(body, dict):
            raise Fault(
                f"--set {setting!r}: {key} is not a group of settings",
                cure="set it as a whole in the job file",
                exit_code=Exit.USAGE,
            )
    try:
        # A scalar is read as the job file would read it: through the same rules.
        body[keys[-1]] = read_job(f"value: {written}")["value"]
    except SpecError:
        body[keys[-1]] = written


def read_mapping(file: Path) -> dict[str, Any]:
    """The fields a job file holds."""
    from workflows.jobfile import read_job
    from workflows.problems import SpecError

    try:
        return read_job(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Fault(f"there is no job file {file}", cure="check the path", exit_code=Exit.NOT_FOUND) from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise Fault(f"{file} is not a text file", cure="give a job file in YAML", exit_code=Exit.USAGE) from None
    except SpecError as error:
        raise Fault(f"{file}: {error}", exit_code=Exit.USAGE) from None


def _read(file: Path) -> JobSpec:
    from workflows.problems import SpecError
    from workflows.spec import JobSpec

    body = read_mapping(file)
    _absolute_dataset(body, file.parent)
    try:
        return JobSpec.from_mapping(body).resolved()
    except SpecError as error:
        raise Fault(f"{file}: {error}", exit_code=Exit.USAGE) from None


def _absolute_dataset(body: dict[str, Any], folder: Path) -> None:
    """A dataset given as a path counts from the job file (or from here), wherever the API runs."""
    written = body.get("dataset")
    if not isinstance(written, str) or "://" in written:
        return
    if written.startswith("~"):
        try:
            written = body["dataset"] = str(Path(written).expanduser())
        except RuntimeError:
            what = f"dataset {written}: there is no such person's home folder"
            raise Fault(what, cure="write the whole path", exit_code=Exit.USAGE) from None
    if written.startswith(("/", "./", "../")) or "/" in written or written.endswith(".zip") or written == ".":
        body["dataset"] = str((folder / written).resolve())


def _run(spec: JobSpec, home: Path, *, job_id: str, must_exist: bool) -> Run:
    """Where a job compiled here would run: on this machine, with nobody to call back."""
    from api.cli.settings import read_settings
    from workflows.keys import dataset_prefix
    from workflows.locate import dataset_uri
    from workflows.problems import SpecError
    from workflows.training import Run

    settings = read_settings(home)
    storage = settings.storage()
    try:
        uri = dataset_uri(spec.dataset, storage)
    except SpecError as error:
        if must_exist:
            raise Fault(str(error), exit_code=Exit.USAGE) from None
        uri = storage.uri(dataset_prefix(Path(spec.dataset).name or "dataset"))
    told = settings.of_workflows()
    if not must_exist:
        # A workflow that is printed may go to a cluster, where a claim that nobody made keeps every pod waiting.
        told["cache_claim"] = settings.cache_claim or None
    return Run(
        job_id=job_id,
        trace_id=job_id.ljust(32, "0"),
        dataset_uri=uri,
        **told,
    )


def _show_plan(answer: dict[str, Any], *, json: bool) -> None:
    if json:
        return say_json(answer)
    spec = answer["plan"]["spec"]
    for name in ("framework", "model", "task", "dataset", "hyperparameters", "advanced_config", "split", "resources"):
        value = spec.get(name)
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        if shown:
            console().print(f"  {name:15} {shown}", markup=False)
    templates = {t["name"]: t for t in answer["manifest"]["spec"]["templates"]}
    rows = [
        (name, t["container"]["image"], " ".join(t["container"]["command"] + t["container"].get("args", [])))
        for name, t in templates.items()
        if "container" in t
    ]
    table(("STEP", "IMAGE", "COMMAND"), rows, title="Nothing was submitted; this is what would run:")
    console().print("the whole manifest: add --json")
