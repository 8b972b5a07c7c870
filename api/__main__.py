"""The API's own process, for containers: `python -m api`; with `--migrate` it brings the schema up to date and ends.

`tiphys up` is the same on one machine, with the reconciler beside it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from api.cli import address
from api.cli.fault import Fault
from api.cli.serve import prepared
from api.cli.settings import read_settings
from api.main import create_app
from api.settings import Settings

GRACEFUL_SECONDS = 10
"""How long requests that run may take to end after SIGTERM; streams are told to end at once."""


def main() -> int:
    """Serve until SIGTERM, or migrate; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--migrate", action="store_true", help="bring the database's schema up to date, and end")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        settings = read_settings(Path(os.environ.get("TIPHYS_HOME") or ".tiphys"))
        settings = _prepared(settings)
        if not options.migrate:
            _serve(settings)
    except Fault as fault:
        print(f"error: {fault.message}", f"cure:  {fault.cure}", sep="\n", file=sys.stderr)
        return int(fault.exit_code)
    return 0


def _prepared(settings: Settings) -> Settings:
    try:
        return prepared(settings)
    except OSError as error:
        raise Fault(
            f"the home folder {settings.resolved_home()} cannot be used: {error.strerror}",
            cure="mount a volume there that this user may write to, or set TIPHYS_HOME",
        ) from error


def _serve(settings: Settings) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # two lines at every look of a readiness probe
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        server_header=False,
    )
    server = _Server(config)
    server.before_shutdown = app.state.platform.wake.close
    # uvicorn raises the signal again after a graceful end: as an exception, so that the exit code tells of the end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with address.listen(settings.host, settings.port) as sock, suppress(KeyboardInterrupt):
        server.run(sockets=[sock])
    if not server.started:
        raise Fault("the API could not start", cure="see the lines above")


class _Server(uvicorn.Server):
    before_shutdown: Callable[[], None]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.before_shutdown()  # streams end themselves instead of being waited for
        await super().shutdown(sockets)


if __name__ == "__main__":
    sys.exit(main())
