"""`tiphys run`: a job's workflow on this machine, without any API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.fault import Exit, Fault
from api.cli.output import console, say_json
from api.cli.settings import read_settings
from api.settings import SOURCE, prepare_home
from workflows.engine import EngineError, EngineRefused
from workflows.keys import checkpoints_prefix
from workflows.local import LocalEngine, LocalImages
from workflows.manifest import build
from workflows.training import training_workflow

if TYPE_CHECKING:
    from workflows.spec import JobSpec
    from workflows.training import Run

LAST_LINES = 15
"""Lines of a failed step's output that are shown."""


def run_here(spec: JobSpec, run: Run, home: Path, *, json: bool) -> Exit:
    """Run the workflow to its end, telling each step's phase, and say where its results lie."""
    settings = prepare_home(read_settings(home))
    images = LocalImages(environments=settings.environments, source=SOURCE, cwd=Path.cwd())
    # A folder of its own: the engine of a running `tiphys up` holds the home folder's.
    engine = LocalEngine(home / "runs", images=images, claims=settings.claims())
    manifest = build(training_workflow(spec, run))
    name = manifest["metadata"]["name"]
    told: dict[str, str] = {}

    def tell(workflow: dict[str, Any]) -> None:
        for node in (workflow.get("status", {}).get("nodes") or {}).values():
            line = _line(node)
            if line and told.get(node["id"]) != line and not json:
                told[node["id"]] = line
                console().print(f"  {line}", markup=False)

    try:
        engine.submit(manifest, secrets=settings.storage_secrets())
    except EngineRefused as error:
        raise Fault(f"this machine cannot run it: {error}", exit_code=Exit.FAILED) from None
    if not json:
        console().print(f"running {name} on this machine; its output lies in {home / 'runs'}", soft_wrap=True)
    try:
        workflow = engine.run(name, tell)
    except KeyboardInterrupt:
        engine.terminate(name)
        engine.run(name)
        raise
    except EngineError as error:
        engine.delete(name)  # else the other process would run it, with nobody to be told
        raise Fault(error.message, cure="wait for it, or run this in another folder: tiphys --home DIR run") from None
    if json:
        say_json(workflow)
    elif workflow["status"]["phase"] != "Succeeded":
        _show_failure(engine, workflow)
    else:
        console().print(f"succeeded; checkpoints: {_checkpoints(run, spec)}", soft_wrap=True, markup=False)
    return Exit.OK if workflow["status"]["phase"] == "Succeeded" else Exit.FAILED


def _line(node: dict[str, Any]) -> str:
    """One line of a process's state, empty where there is nothing to tell."""
    message = node.get("message", "")
    if node["type"] != "Pod" or message == "PodInitializing":
        return ""
    done, _, total = node.get("progress", "").partition("/")
    progress = f" {done}/{total}" if node["phase"] == "Running" and total not in ("", "1") else ""
    return f"{node['displayName'].removesuffix('(0)')}: {node['phase']}{progress}{f'  {message}' if message else ''}"


def _show_failure(engine: LocalEngine, workflow: dict[str, Any]) -> None:
    out = console()
    for node in workflow["status"]["nodes"].values():
        if node["type"] == "Pod" and node["phase"] in ("Failed", "Error"):
            out.print(
                f"{node['displayName']} failed: {node.get('message', '')}; its last lines:", style="red", markup=False
            )
            lines = engine.logs(workflow["metadata"]["name"], node["id"], 0).decode(errors="replace").splitlines()
            out.print("\n".join(f"  {line}" for line in lines[-LAST_LINES:]), markup=False)


def _checkpoints(run: Run, spec: JobSpec) -> str:
    return run.storage.uri(checkpoints_prefix(spec.project, run.job_id))
