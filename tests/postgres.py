"""PostgreSQL for tests and benchmarks: the server that TIPHYS_TEST_POSTGRES names, or a private one started here."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, make_url, text

from api.db import Database
from api.models import Base
from api.postgres import understood

HINT = "no PostgreSQL here: set TIPHYS_TEST_POSTGRES to the URL of a server, or apt-get install postgresql"
START_SECONDS = 60.0
# Nothing of a test has to survive a power cut.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
_DURABLE = {"shared_buffers": "128MB"}
_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


@dataclass
class Server:
    """A server in which databases are made and dropped."""

    url: URL

    def __post_init__(self) -> None:
        self._admin = create_engine(understood(self.url.render_as_string(hide_password=False)))
        self._numbers = count(1)
        self._template: str | None = None
        self._used: str | None = None
        self._sweeper: Engine | None = None

    def fresh(self) -> str:
        """Returns the URL of a database at head without any rows: always the same one, which costs less."""
        if self._used is None:
            self._used = self.create()
            self._sweeper = create_engine(understood(self._used), pool_size=1, pool_pre_ping=True)
            with self._sweeper.connect() as connection:
                self._head = connection.scalar(text("SELECT version_num FROM alembic_version"))
        with self._sweeper.begin() as connection:
            # Whoever is left of an earlier test would hold what is to be emptied; TRUNCATE would cost a file a table.
            connection.execute(text(_OTHERS))
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(table.delete())
                if table.autoincrement_column is not None:
                    connection.execute(
                        text(f"ALTER SEQUENCE {table.name}_{table.autoincrement_column.name}_seq RESTART")
                    )
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": self._head})
        return self._used

    def create(self, *, migrated: bool = True) -> str:
        """Makes a database of its own, at head unless told otherwise; returns its URL."""
        name = f"tiphys_test_{os.getpid()}_{next(self._numbers)}"
        template = f' TEMPLATE "{self._migrated()}"' if migrated else ""
        self._do(f'CREATE DATABASE "{name}"{template}')
        return self._url(name)

    def drop(self, url: str) -> None:
        """Drops a database, whoever still uses it."""
        self._do(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    def close(self) -> None:
        """Leaves nothing behind."""
        if self._sweeper:
            self._sweeper.dispose()
        if self._used:
            self.drop(self._used)
        if self._template:
            self._do(f'DROP DATABASE IF EXISTS "{self._template}" WITH (FORCE)')
        self._admin.dispose()

    def _migrated(self) -> str:
        if self._template is None:
            template = f"tiphys_test_{os.getpid()}_head"
            self._do(f'CREATE DATABASE "{template}"')
            database = Database(self._url(template))
            database.migrate()
            database.close()
            self._template = template
        return self._template

    def _url(self, name: str) -> str:
        # As people write it: without a driver.
        return self.url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)

    def _do(self, statement: str) -> None:
        with self._admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))


def found() -> bool:
    """Tells whether there is a server, or a program to start one."""
    return bool(os.environ.get("TIPHYS_TEST_POSTGRES") or _binaries())


@contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """Yields a server; a private one waits for the disk at a commit only where `durable` is set."""
    given = os.environ.get("TIPHYS_TEST_POSTGRES")
    if given:
        made = Server(make_url(given))
        try:
            yield made
        finally:
            made.close()
        return
    with private(_DURABLE if durable else _FAST) as url:
        made = Server(url)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def private(options: dict[str, str]) -> Iterator[URL]:
    """Yields the address of a server started here with these options, as one who may do everything."""
    programs = _binaries()
    if programs is None:
        raise RuntimeError(HINT)
    # Below /tmp itself: the name of a socket may be 107 bytes long, and another user must be able to get there.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user = _other_user(folder)
    try:
        words = [programs / "initdb", "-D", folder / "data", "-U", "tiphys", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*words, "--locale=C.UTF-8"], check=True, capture_output=True, user=user, cwd=folder)
        options = {"listen_addresses": "", "unix_socket_directories": str(folder), "max_connections": "200"} | options
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        log = (folder / "log").open("wb")
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *settings],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            user=user,
            cwd=folder,
        )
        try:
            _wait(folder, programs, process)
            yield URL.create("postgresql", username="tiphys", database="postgres", query={"host": str(folder)})
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, without waiting for who is connected
            process.wait(30)
            log.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(folder: Path, programs: Path, process: subprocess.Popen[bytes]) -> None:
    asked = [programs / "pg_isready", "-q", "-h", str(folder), "-t", "1"]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if subprocess.run(asked, capture_output=True).returncode == 0:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text(errors='replace')[-2000:]}")


def _other_user(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: then the folder is given to somebody else."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            known = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, known.pw_uid, known.pw_gid)
        return name
    raise RuntimeError("there is neither a user postgres nor nobody to run PostgreSQL as")


def _binaries() -> Path | None:
    at_home = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[4]))
    if at_home:
        return at_home[-1].parent
    program = shutil.which("postgres")
    return Path(program).resolve().parent if program else None
