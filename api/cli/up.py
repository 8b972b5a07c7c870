"""`tiphys up` and `tiphys down`: the whole platform on this machine, under one folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.client import JOBS, USER_TOKEN, Api, find_home
from api.cli.fault import Fault
from api.cli.output import Json, console, say_json

if TYPE_CHECKING:
    from api.cli.address import Address
    from api.settings import Settings

commands = typer.Typer()

START_LIMIT = 60.0
"""Seconds a detached platform has to answer."""
GO_ON, WAIT = ("running", "cancelling"), ("pending", "queued")
"""States of jobs whose processes outlive the platform, and of those that have none yet."""
NAMED = 10
"""Jobs named by `tiphys down` of those that go on."""
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="TIPHYS_HOST, or 127.0.0.1")]
Port = Annotated[
    int | None,
    typer.Option(
        help="Port to listen on; 0 takes any free one.",
        min=0,
        max=65535,
        show_default="TIPHYS_PORT, the last one, or 8137",
    ),
]


@commands.command()
def up(
    context: typer.Context,
    host: Host = None,
    port: Port = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Go to the background; end it with `tiphys down`.")
    ] = False,
    json: Json = False,
) -> None:
    """Start API, reconciler and local engine; Ctrl-C ends them, and no job is lost."""
    home = find_home(context.obj)
    if detach:
        address = start(home, host=host, port=port)
        if json:
            say_json(address)
        else:
            console().print(
                f"Tiphys is up at [bold]{address['url']}[/] (pid {address['pid']}); end it with: tiphys down"
            )
        return
    # Server and database cost 60 MB and half a second: only the command that needs them loads them.
    from api.cli import address as addresses
    from api.cli.serve import serve
    from api.cli.settings import read_settings

    def announce(settings: Settings) -> None:
        if json:
            say_json({"url": settings.api_url(), "home": str(home)})
            sys.stdout.flush()
            return
        out = console()
        out.print(
            f"[bold]Tiphys is up[/] at {settings.api_url()}  (API reference: {settings.api_url()}/docs)", soft_wrap=True
        )
        out.print(f"  state    {home}", soft_wrap=True)
        # Where several processes share the records they share the token, too: none lies in the home folder.
        token = "as TIPHYS_USER_TOKEN says" if settings.shared else home / "token"
        out.print(f"  token    {token}", soft_wrap=True)
        out.print("  next     tiphys train ultralytics/yolo11n --dataset DIR --watch")
        out.print("  Ctrl-C ends it; what trains goes on, and the next `tiphys up` picks it up again.", soft_wrap=True)

    settings = read_settings(home, **{k: v for k, v in (("host", host), ("port", port)) if v is not None})
    if "port" not in settings.model_fields_set and (last := addresses.last_port(home)) is not None:
        settings = settings.model_copy(update={"port": last})
    serve(settings, announce=announce)


@commands.command()
def down(context: typer.Context, json: Json = False) -> None:
    """End the platform that runs in this home folder; what trains goes on until the next `tiphys up`."""
    import psutil

    from api.cli import address as addresses

    home = find_home(context.obj)
    found = addresses.read(home)
    process = found.process() if found else None
    elsewhere = os.environ.get("TIPHYS_URL", "").rstrip("/")
    if elsewhere and (found is None or elsewhere != found.url) and not json:
        print(
            f"note: TIPHYS_URL ({elsewhere}) does not count here: `tiphys down` ends that of the home folder {home}",
            file=sys.stderr,
        )
    if found is None or process is None:
        # What was asked for is so.
        if json:
            return say_json({"ended": None, "running": [], "waiting": []})
        return console().print(
            f"No Tiphys is up in {home}; one in another folder ends with: tiphys --home DIR down",
            markup=False,
            soft_wrap=True,
        )
    jobs = _open_jobs(found.url, home)
    try:
        process.terminate()
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)
    except psutil.NoSuchProcess:
        pass  # it has just ended by itself
    except psutil.AccessDenied:
        raise Fault(f"Tiphys (pid {found.pid}) belongs to somebody else", cure="end it as that person") from None
    _say_ended(found, jobs, json=json)


def _open_jobs(url: str, home: Path) -> dict[str, str] | None:
    """The state of each job that has not ended, newest first; None where the platform that is to end does not tell."""
    kept = home / "token"
    token = kept.read_text().strip() if kept.exists() else os.environ.get(USER_TOKEN, "")
    try:
        answer = Api(url, token, home=home, patience=5).get(JOBS, state=[*GO_ON, *WAIT], limit=200)
    except Fault:
        return None  # it ends all the same
    return {job["id"]: job["state"] for job in answer["items"]}


def _say_ended(ended: Address, jobs: dict[str, str] | None, *, json: bool) -> None:
    running, waiting = ([id for id, state in (jobs or {}).items() if state in states] for states in (GO_ON, WAIT))
    if json:
        known = jobs is not None
        return say_json(
            {"ended": ended.pid, "running": running if known else None, "waiting": waiting if known else None}
        )
    out = console()
    out.print(f"Tiphys at {ended.url} (pid {ended.pid}) has ended.")
    if jobs is None:
        out.print("Which jobs go on it did not say; the next `tiphys up` finds them.")
    for names, one, several in ((running, "goes on", "go on"), (waiting, "waits", "wait")):
        if names:
            many, them = (f"{len(names)} jobs {several}", "them") if len(names) > 1 else (f"1 job {one}", "it")
            named = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
            out.print(f"{many}: {named}; the next `tiphys up` finds {them}.", soft_wrap=True)


def start(home: Path, *, host: str | None = None, port: int | None = None) -> dict[str, object]:
    """Start the platform in the background, unless it is up already; return its address once it answers.

    Raises:
        Fault: it ended or did not answer in time; the message carries its own last words.
    """
    from api.cli import address as addresses

    if (found := addresses.read(home)) is not None:
        return {"url": found.url, "pid": found.pid, "started": False}
    (home / "logs").mkdir(parents=True, exist_ok=True)
    log = home / "logs" / "up.log"
    if log.exists():
        log.replace(log.with_name("up.previous.log"))  # a crash is looked into after the next start
    command = [sys.executable, "-m", "api.cli.main", "--home", str(home), "up"]
    command += [] if host is None else ["--host", host]
    command += [] if port is None else ["--port", str(port)]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if (found := addresses.read(home)) is not None and _answers(found.url):
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith("warning: "):  # said into the log, meant for whoever started it
                    print(line, file=sys.stderr)
            return {"url": found.url, "pid": found.pid, "started": True}
        if child.poll() is not None:
            words = log.read_text(errors="replace").strip().splitlines()
            error = next((w.removeprefix("error: ") for w in words if w.startswith("error: ")), "\n".join(words[-5:]))
            cure = next((w.removeprefix("cure:").strip() for w in words if w.startswith("cure:")), f"see {log}")
            raise Fault(error or f"it ended with exit code {child.returncode}", cure=cure)
        time.sleep(0.1)
    child.terminate()
    raise Fault(f"the platform did not answer within {START_LIMIT:.0f} s", cure=f"see {log}")


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).is_success  # no proxy leads here
    except httpx.TransportError:
        return False
