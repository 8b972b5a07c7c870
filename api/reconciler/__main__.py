"""The reconciler's process: one per home folder, until SIGTERM or until its parent closes standard input."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.artifacts.storage import open_storage
from api.db import MIGRATIONS, Database
from api.reconciler.loop import Reconciler
from api.reconciler.presence import api_answers
from api.reconciler.tools import LogShelf, Tools
from api.settings import SOURCE, Settings, prepare_home
from workflows.local import Capacity, LocalEngine, LocalImages

log = logging.getLogger("tiphys.reconciler")

ALIVE_EVERY = 1.0
LOCKED_EXIT = 3
"""Exit code where another reconciler works in this home folder."""


def main() -> int:
    """Run until told to end; returns the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = prepare_home(Settings())
    home = settings.resolved_home()
    lock = _lock(home / "reconciler.lock")
    if lock is None:
        print(f"another reconciler works in {home}: end it first, or use another home folder", file=sys.stderr)
        return LOCKED_EXIT
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _end_with_parent(stop)
    database = Database(settings.resolved_database_url())
    try:
        return _run(settings, database, stop)
    finally:
        database.close()
        lock.close()


def _run(settings: Settings, database: Database, stop: threading.Event) -> int:
    if not _wait_for_schema(database, stop):
        return 0
    home = settings.resolved_home()
    engine = _engine(settings, home)
    broken: list[BaseException] = []
    server = threading.Thread(target=_serve, args=(engine.serve, stop, broken), name="engine")

    def shelf() -> LogShelf:
        return open_storage(settings)

    tools = Tools(
        settings=settings, database=database, engine=engine, shelf=shelf, api_answers=lambda: api_answers(settings)
    )
    reconciler = Reconciler(tools)
    server.start()
    try:
        _loop(reconciler, home / "reconciler.alive", settings.tick, stop)
    finally:
        stop.set()
        server.join()
        engine.close()
    return 1 if broken else 0


def _engine(settings: Settings, home: Path) -> LocalEngine:
    # A custom job's command may name a script as the person sees it from where the platform was started.
    images = LocalImages(environments=settings.environments, source=SOURCE, cwd=Path.cwd())
    indices = None if settings.gpus is None else ",".join(map(str, range(settings.gpus))) or "none"
    capacity = Capacity.detect(gpus=indices)
    if settings.cpus is not None:
        capacity = replace(capacity, cpus=settings.cpus)
    return LocalEngine(home, images=images, capacity=capacity)


def _loop(reconciler: Reconciler, alive: Path, tick: float, stop: threading.Event) -> None:
    touched = 0.0
    while not stop.is_set():
        try:
            reconciler.tick()
        except Exception:
            # The database away or locked for long: the next look begins anew, nothing is kept from this one.
            log.exception("a look at the jobs failed; the next follows")
            stop.wait(min(tick * 4, 5.0))
        if time.monotonic() - touched >= ALIVE_EVERY:
            touched = time.monotonic()
            alive.touch()
        stop.wait(tick)


def _serve(serve: Callable[[threading.Event], None], stop: threading.Event, broken: list[BaseException]) -> None:
    """Run the engine; where it breaks, the whole process ends, for a dead engine's status would be told for ever."""
    try:
        serve(stop)
    except BaseException as error:
        log.exception("the engine broke")
        broken.append(error)
    finally:
        stop.set()


def _lock(path: Path) -> IO[str] | None:
    """Take the home's one place for a reconciler; the system gives it back however the process ends."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def _end_with_parent(stop: threading.Event) -> None:
    """End when standard input closes, where it is a pipe: a parent that is killed cannot send a signal any more."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def read() -> None:
        while os.read(0, 4096):
            pass
        stop.set()

    threading.Thread(target=read, name="parent", daemon=True).start()


def _wait_for_schema(database: Database, stop: threading.Event) -> bool:
    """Wait until the API has brought the database to the newest schema; returns False when told to end before."""
    newest = max(path.stem for path in (MIGRATIONS / "versions").glob("*.py"))
    told = time.monotonic()
    while not stop.is_set():
        try:
            with database.read() as session:
                if session.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest:
                    return True
        except DBAPIError:
            pass  # not made yet, or held by the migration itself
        if time.monotonic() - told > 30:
            told = time.monotonic()
            log.warning("waiting for the API to bring the database to schema %s", newest)
        stop.wait(0.2)
    return False


if __name__ == "__main__":
    sys.exit(main())
