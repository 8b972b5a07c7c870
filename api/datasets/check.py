"""Checks a dataset by the steps' own rules: they run as processes in their own environment, as they do in a job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from api.errors import Invalid, Unavailable
from api.platform import Platform
from api.settings import SOURCE

_TAIL = 600


class CheckFailed(Unavailable):
    """The checker itself could not do its work."""

    code = "check_failed"


def run_check(platform: Platform, uri: str, *, dataset_id: str, task: str | None) -> dict[str, Any]:
    """Returns the report of `steps.convert --check`: layout, task, classes, counts, version, errors and warnings.

    Raises:
        Invalid: there is no such task, or the dataset cannot be fetched. CheckFailed: the checker did not work.
    """
    settings = platform.settings
    python = settings.environments / "steps" / "bin" / "python"
    if not python.exists():
        raise CheckFailed(
            f"the environment of the steps is missing: there is no {python}",
            cure="set it up: make setup, or point TIPHYS_ENVIRONMENTS at it",
        )
    with tempfile.TemporaryDirectory(prefix="tiphys-check-") as scratch:
        folder = platform.storage.local_path(uri)
        if folder is None or not uri.endswith("/"):
            folder = _fetch(platform, python, uri, dataset_id=dataset_id, work=Path(scratch))
        command = [str(python), "-m", "steps.convert", "--check", str(folder), "--json"]
        if task is not None:
            command += ["--task", task]
        code, out, err = _run(command, _environment(scratch), cwd=scratch, seconds=settings.check_timeout)
    if code == 2:
        raise Invalid(_last_line(err), cure="see /api/v1/trainer/frameworks for the tasks there are")
    try:
        report = json.loads(out)
    except ValueError:
        report = None
    if code not in (0, 1) or not isinstance(report, dict):
        raise CheckFailed(f"the checker ended with exit code {code}: {_last_line(err)}", cure="see the API's log")
    return report


def _fetch(platform: Platform, python: Path, uri: str, *, dataset_id: str, work: Path) -> Path:
    """Unpacks or downloads a dataset exactly as a job would; returns the folder."""
    settings = platform.settings
    cause = work / "cause"
    environment = _environment(str(work)) | {
        # Without BACKEND_BASE_URL the step reports to nobody.
        "JOB_ID": "check",
        "TRACE_ID": "check",
        "TASK_TYPE": "object_detection",
        "MODEL_NAME": "none",
        "DATASET_ID": dataset_id,
        "DATASET_S3_URI": uri,
        "EPOCHS": "1",
        "BATCH_SIZE": "1",
        "LEARNING_RATE": "0.01",
        "WORK_DIR": str(work),
        "TMP_DIR": str(work),
        "TERMINATION_LOG": str(cause),
    }
    environment |= settings.storage().environment() | settings.storage_secrets()
    command = [str(python), "-m", "steps.download"]
    code, _, err = _run(command, environment, cwd=str(work), seconds=settings.check_timeout)
    if code != 0:
        told = cause.read_text(errors="replace").strip() if cause.is_file() else _last_line(err)
        if code == 1:
            raise Invalid(f"the dataset cannot be fetched: {told}", cure="correct the dataset, and register it again")
        raise CheckFailed(f"the dataset could not be fetched: {told}", cure="try again")
    return work / "dataset"


def _environment(scratch: str) -> dict[str, str]:
    """Nothing of ours but where the steps' source lies: a check must not depend on how the API was started."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "HOME": scratch,
        "TMPDIR": scratch,
    }


def _run(command: list[str], environment: dict[str, str], *, cwd: str, seconds: float) -> tuple[int, str, str]:
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise CheckFailed(
                f"the check took longer than {seconds:g} s",
                cure="check it by hand (python -m steps.convert --check PATH), or raise TIPHYS_CHECK_TIMEOUT",
            ) from error
        finally:
            if process.poll() is None:
                _kill(process)
    return process.returncode, out, err


def _kill(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: what it started goes with it


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-_TAIL:] if lines else "it said nothing"
