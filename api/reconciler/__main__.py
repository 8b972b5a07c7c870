"""The reconciler's process, until SIGTERM or until its parent closes standard input: one works, any others stand by."""

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
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from api.artifacts.storage import Storage, open_storage
from api.cli.fault import Fault
from api.cli.settings import read_settings
from api.datasets.worker import DatasetWorker
from api.db import MIGRATIONS, Database
from api.postgres import IDLE_SECONDS, is_away, told
from api.reconciler.engines import NoEngine, open_engine
from api.reconciler.fence import FencedDatabase, FencedEngine
from api.reconciler.lease import Lease, NotHeld, wait_for, whoami
from api.reconciler.logs import forget
from api.reconciler.loop import Reconciler
from api.reconciler.presence import api_answers
from api.reconciler.tools import Tools, utc_now
from api.settings import Settings, prepare_home

log = logging.getLogger("tiphys.reconciler")

ALIVE_EVERY = 1.0
ALIVE = "reconciler.alive"
"""File in the home folder whose time says that this process lives."""
UNUSABLE_EXIT = 1
"""Exit code where the settings cannot be used."""
LOCKED_EXIT = 3
"""Exit code where another reconciler works in this home folder."""
NO_ENGINE_EXIT = 4
"""Exit code where the engine cannot be opened as it is set up."""


def main() -> int:
    """Run until told to end; returns the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each call to the cluster
    try:
        settings = prepare_home(read_settings(Path(os.environ.get("TIPHYS_HOME") or ".tiphys")))
        # Who stands still in a transaction holds the lease's row, too: not for longer than the lease's own time.
        idle = min(IDLE_SECONDS, settings.reconciler_lease / 3)
        url, most = settings.resolved_database_url(), settings.database_connections
        database = FencedDatabase(url, connections=most, idle_seconds=idle)
    except (Fault, ValueError) as error:
        print(
            f"error: {error}",
            *([f"cure:  {error.cure}"] if isinstance(error, Fault) else []),
            sep="\n",
            file=sys.stderr,
        )
        return UNUSABLE_EXIT
    home = settings.resolved_home()
    lock = _lock(home / "reconciler.lock")
    if lock is None:
        print(f"another reconciler works in {home}: end it first, or use another home folder", file=sys.stderr)
        return LOCKED_EXIT
    stop = Ending()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _end_with_parent(stop)
    try:
        return _run(settings, database, stop)
    finally:
        database.close()
        lock.close()


def _run(settings: Settings, database: FencedDatabase, stop: Ending) -> int:
    alive = (settings.resolved_home() / ALIVE).touch if settings.shared else None
    if not _wait_for_schema(database, stop, alive):
        return 0
    if alive is None:
        return _work(settings, database, None, stop)
    code = 0
    while not stop.is_set() and code == 0:
        lease = Lease(database, seconds=settings.reconciler_lease, over=stop.term())
        if not wait_for(lease, stop, every=min(1.0, settings.reconciler_lease / 10), alive=alive):
            break
        log.info("this is the active reconciler: %s", whoami())
        forget(settings)
        database.lease = lease
        keeper = threading.Thread(target=lease.keep, name="lease")
        keeper.start()
        try:
            code = _work(settings, database, lease, lease.over)
        finally:
            database.lease = None
            with suppress(SQLAlchemyError):  # then it ends by itself
                lease.give_back()
            keeper.join()
    return code


def _work(settings: Settings, database: Database, lease: Lease | None, stop: threading.Event) -> int:
    """Reconcile until told to end, or until the lease is lost; returns the process's exit code."""
    home = settings.resolved_home()
    try:
        engine = open_engine(settings)
    except NoEngine as error:
        print(f"no engine: {error}", file=sys.stderr)
        return NO_ENGINE_EXIT
    broken: list[BaseException] = []
    storage = cache(lambda: open_storage(settings))

    def shelf() -> Storage:
        if lease is not None:
            lease.check()
        return storage()

    if lease is not None:
        engine = FencedEngine(engine, lease)
    server = threading.Thread(target=_serve, args=(engine.serve, stop, broken), name="engine")
    datasets = DatasetWorker(settings, database, storage=shelf, clock=utc_now)
    worker = threading.Thread(target=_serve_datasets, args=(datasets, stop), name="datasets")
    tools = Tools(
        settings=settings, database=database, engine=engine, shelf=shelf, api_answers=lambda: api_answers(settings)
    )
    reconciler = Reconciler(tools)
    server.start()
    worker.start()
    try:
        _loop(reconciler, lease, home / ALIVE, settings.tick, stop)
    finally:
        stop.set()
        worker.join()
        server.join()
        engine.close()
    return 1 if broken else 0


def _loop(reconciler: Reconciler, lease: Lease | None, alive: Path, tick: float, stop: threading.Event) -> None:
    touched = 0.0
    while not stop.is_set():
        try:
            if lease is not None:
                lease.check()
            reconciler.tick()
        except NotHeld as error:
            log.warning("this look was left alone: %s", error)
            stop.wait(ALIVE_EVERY)
        except Exception:
            # The database away or locked for long: the next look begins anew, nothing is kept from this one.
            log.exception("a look at the jobs failed; the next follows")
            stop.wait(min(tick * 4, 5.0))
        if lease is not None:
            lease.looked()
        if time.monotonic() - touched >= ALIVE_EVERY:
            touched = time.monotonic()
            alive.touch()
        stop.wait(tick)


class Ending(threading.Event):
    """Set when told to end; what depends on it ends with it, and may end before."""

    def __init__(self) -> None:
        super().__init__()
        self._terms: list[threading.Event] = []

    def set(self) -> None:
        super().set()
        for term in self._terms:
            term.set()

    def term(self) -> threading.Event:
        """Returns an event that is set with this one; the one before is forgotten."""
        self._terms = [threading.Event()]
        if self.is_set():
            self._terms[0].set()
        return self._terms[0]


def _serve_datasets(worker: DatasetWorker, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            worker.serve(stop)
        except NotHeld:
            stop.wait(ALIVE_EVERY)  # what was begun is begun anew, here or elsewhere


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


def _wait_for_schema(database: Database, stop: threading.Event, alive: Callable[[], None] | None) -> bool:
    """Wait until the API has brought the database to the newest schema; returns False when told to end before."""
    newest = max(path.stem for path in (MIGRATIONS / "versions").glob("*.py"))
    said = time.monotonic()
    while not stop.is_set():
        problem = ""
        try:
            with database.read() as session:
                if session.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest:
                    return True
        except DBAPIError as error:
            # Not made yet, held by the migration itself, or the server is away.
            problem = f": {told(error)}" if is_away(error) else ""
        if alive is not None:
            alive()
        if time.monotonic() - said > 30:
            said = time.monotonic()
            log.warning("waiting for the API to bring the database to schema %s%s", newest, problem)
        stop.wait(0.2)
    return False


if __name__ == "__main__":
    sys.exit(main())
