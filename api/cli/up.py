"""`tiphys up` and `tiphys down`: the whole platform on this machine, under one folder."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.client import find_home
from api.cli.fault import Exit, Fault
from api.cli.output import Json, console, say_json

if TYPE_CHECKING:
    from api.settings import Settings

commands = typer.Typer()

START_LIMIT = 60.0
"""Seconds a detached platform has to answer."""
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
        out.print(f"  token    {home / 'token'}", soft_wrap=True)
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
    if found is None or process is None:
        raise Fault(f"no Tiphys is up in {home}", cure="nothing to do", exit_code=Exit.UNREACHABLE)
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
    if json:
        say_json({"ended": found.pid})
    else:
        console().print(f"Tiphys at {found.url} (pid {found.pid}) has ended.")


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
