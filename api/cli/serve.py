"""Runs the platform in this process: the API, and the reconciler as a child that is started again if it dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from alembic.util import CommandError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from api.cli import address
from api.cli.fault import Exit, Fault
from api.db import Database
from api.main import create_app
from api.models import Attempt
from api.postgres import DatabaseUnusable, is_away, told
from api.settings import SOURCE, Settings, prepare_home

RESTART_DELAY = 1.0
"""Seconds before a reconciler that died is started again; doubled each time, up to a minute."""


def serve(settings: Settings, *, announce: Callable[[Settings], None]) -> None:
    """Run API and reconciler until SIGINT or SIGTERM; jobs that train go on without them."""
    home = settings.resolved_home()
    held = address.lock(home)
    try:
        last = address.last_port(home)
        sock = _listen(settings, last)
        try:
            settings = prepared(settings.model_copy(update={"port": sock.getsockname()[1]}))
            if last not in (None, settings.port) and (running := _still_running(settings)):
                print(
                    f"warning: jobs that run ({running}) call port {last} and are not heard on {settings.port}; "
                    f"they train on, and are heard again after: tiphys up --port {last}",
                    file=sys.stderr,
                )
            for upload in home.glob(".upload-*.part"):
                upload.unlink(missing_ok=True)  # of a platform that was killed while it received them
            (home / "port").write_text(str(settings.port))
            with _reconciler(settings):
                _run_api(settings, sock, home, announce)
        finally:
            address.remove(home)
            sock.close()
    finally:
        held.close()


def _listen(settings: Settings, last: int | None) -> socket.socket:
    """Take the port; where any will do, the last one first: trainers that outlived its platform call that one."""
    if settings.port == 0 and last is not None:
        with suppress(Fault):
            return address.listen(settings.host, last)
    return address.listen(settings.host, settings.port)


def _still_running(settings: Settings) -> int:
    """Attempts that were handed to the engine and have not been closed."""
    database = Database(settings.resolved_database_url())
    try:
        with database.read() as session:
            open_ones = select(func.count()).where(Attempt.submitted_at.is_not(None), Attempt.closed.is_(False))
            return session.scalar(open_ones.select_from(Attempt)) or 0
    finally:
        database.close()


def prepared(settings: Settings) -> Settings:
    """Make home folder and database ready, or say what is broken in them."""
    try:
        settings = prepare_home(settings)
        database = Database(settings.resolved_database_url())
    except DatabaseUnusable as error:
        raise Fault(str(error), cure="correct TIPHYS_DATABASE_URL", exit_code=Exit.USAGE) from error
    except ValueError as error:
        raise Fault(str(error), cure=f"look into {settings.resolved_home()}") from error
    try:
        database.migrate()
    except (SQLAlchemyError, CommandError) as error:
        raise _unusable(database, error) from error
    finally:
        database.close()
    return settings


def _unusable(database: Database, error: Exception) -> Fault:
    where = database.engine.url.render_as_string()  # without its password
    if database.sqlite:
        cure = "put back a copy of it, or move it away to begin with no records"
    elif is_away(error):
        cure = "check TIPHYS_DATABASE_URL: host, port, name, user and password; and that the server is up"
    elif isinstance(error, CommandError):
        cure = "it was made by a newer Tiphys: run that one, or a database of its own"
    else:
        cure = "its user must own the database, or be allowed to create tables in it"
    return Fault(f"the database {where} cannot be used: {told(error)}", cure=cure)


def _run_api(settings: Settings, sock: socket.socket, home: Path, announce: Callable[[Settings], None]) -> None:
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    server = _Server(config)

    def ready() -> None:
        address.write(home, address.Address.of_this_process(settings.api_url(), started_at=time.time()))
        announce(settings)

    server.on_ready = ready
    server.on_shutdown = app.state.platform.wake.close  # streams end themselves instead of being waited for
    # uvicorn raises the signal again after a graceful end: as an exception, so that what is held here is given back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[sock])


class _Server(uvicorn.Server):
    on_ready: Callable[[], None]
    on_shutdown: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.on_shutdown()
        await super().shutdown(sockets)


@contextmanager
def _reconciler(settings: Settings) -> Iterator[None]:
    """Keep a reconciler alive; it ends by itself when its standard input closes, even if this process is killed."""
    ended = threading.Event()
    state: dict[str, subprocess.Popen[bytes]] = {}

    def keep() -> None:
        delay = RESTART_DELAY
        while not ended.is_set():
            began = time.monotonic()
            child = subprocess.Popen(
                [sys.executable, "-m", "api.reconciler"],
                stdin=subprocess.PIPE,
                env=_environment(settings),
                start_new_session=True,  # Ctrl-C is for us: it ends when we close its input, not before
            )
            state["child"] = child
            code = child.wait()
            if ended.is_set():
                return
            delay = RESTART_DELAY if time.monotonic() - began > 60 else min(delay * 2, 60)
            print(f"the reconciler ended with exit code {code}; starting it again in {delay:.0f} s", file=sys.stderr)
            ended.wait(delay)

    keeper = threading.Thread(target=keep, name="reconciler-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        child = state.get("child")
        if child and child.stdin:
            child.stdin.close()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        keeper.join(5)


def _environment(settings: Settings) -> dict[str, str]:
    """The reconciler's environment: ours, with the home and address this start really has."""
    return os.environ | {
        "TIPHYS_HOME": str(settings.resolved_home()),
        "TIPHYS_HOST": settings.host,
        "TIPHYS_PORT": str(settings.port),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")])),
    }
