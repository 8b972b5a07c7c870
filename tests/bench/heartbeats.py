"""Heartbeats a second, each durable before its answer, beside a floor: FastAPI with one ORM commit a request.

Over SQLite, and over PostgreSQL where there is one (see tests/postgres.py).

Run it as `python -m tests.bench.heartbeats [--clients 64] [--seconds 5] [--metrics 10]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psutil
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr

from api.auth import issue_job_token
from api.db import Database
from api.main import create_app
from api.models import Heartbeat, Job
from api.settings import Settings, prepare_home
from tests import postgres
from tests.api.factories import create_job, environment_of

ROOT = Path(__file__).resolve().parents[2]


class PeerBody(BaseModel):
    """The same body, as FastAPI reads it."""

    trace_id: str
    epoch: int
    step: int
    total_epochs: int
    metrics: dict[str, float]


def peer_app(database: Database) -> FastAPI:
    """The floor: what one writes first."""
    app = FastAPI()

    @app.post("/v1/jobs/{job_id}/heartbeat")
    def heartbeat(job_id: str, body: PeerBody) -> dict[str, Any]:
        now = datetime.now(UTC)
        with database.write() as session:
            job = session.get(Job, job_id)
            assert job is not None
            session.add(
                Heartbeat(
                    job_id=job_id,
                    attempt=1,
                    epoch=body.epoch,
                    step=body.step,
                    total_epochs=body.total_epochs,
                    metrics=body.metrics,
                    received_at=now,
                )
            )
            job.last_heartbeat_at, job.epoch, job.metrics = now, body.epoch, body.metrics
        return {"status": "ok", "should_continue": True}

    return app


def serve(which: str, home: Path, port: int) -> None:
    """Run one server until it is told to end."""
    settings = prepare_home(Settings(home=home, heartbeats_per_second=1e9))
    app = create_app(settings) if which == "tiphys" else peer_app(Database(settings.resolved_database_url()))
    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_level="error", access_log=False)


class Client(asyncio.Protocol):
    """One connection that sends the next heartbeat as soon as the last was answered."""

    def __init__(self, job: tuple[str, str, str], metrics: int, latencies: list[float], until: float) -> None:
        job_id, trace_id, token = job
        # All but the numbers is put together beforehand: what the client spends, the server lacks.
        self.body = (
            b'{"trace_id":"%b","epoch":%%6d,"step":%%6d,"total_epochs":1000,"metrics":{"val/metric_0":0.%%06d'
            % trace_id.encode()
            + b"".join(b',"val/metric_%d":%a' % (index, 0.5 + index / 7) for index in range(1, metrics))
            + b"}}"
        )
        self.head = (
            f"POST /v1/jobs/{job_id}/heartbeat HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self.body % (0, 0, 0))}\r\n\r\n"
        ).encode()
        self.latencies, self.until = latencies, until
        self.sent, self.step, self.failed, self.answer = 0.0, 0, "", b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.answer.endswith(b"}"):
            return  # the body comes in a packet of its own
        now = time.perf_counter()
        if self.answer.startswith(b"HTTP/1.1 200"):
            self.latencies.append(now - self.sent)
            if now < self.until:
                self._send()
                return
        else:
            self.failed = self.answer.decode(errors="replace")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        self.step, self.answer = self.step + 1, b""
        body = self.body % (self.step // 100, self.step, self.step)
        self.sent = time.perf_counter()
        self.transport.write(self.head + body)


async def load(port: int, jobs: list[tuple[str, str, str]], metrics: int, seconds: float) -> list[float]:
    """Returns the latency of every heartbeat, in seconds."""
    loop, latencies = asyncio.get_running_loop(), list[float]()
    until = time.perf_counter() + seconds
    made = [
        await loop.create_connection(lambda job=job: Client(job, metrics, latencies, until), "127.0.0.1", port)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for job in jobs
    ]
    await asyncio.gather(*(client.ended for _, client in made))
    for _, client in made:
        if client.failed:
            raise SystemExit(f"a heartbeat was refused: {client.failed}")
    return latencies


def measure(which: str, clients: int, metrics: int, seconds: float, url: str | None = None) -> dict[str, float]:
    """Start a server on a fresh home folder, load it, and see that every answered heartbeat is a row."""
    with tempfile.TemporaryDirectory() as folder:
        shared = {"database_url": url, "user_token": SecretStr("t"), "signing_keys": {"k": SecretStr("k" * 40)}}
        settings = prepare_home(Settings(home=Path(folder)).model_copy(update=shared if url else {}))
        database = Database(settings.resolved_database_url())
        database.migrate()
        with database.write() as session:
            made = [create_job(session, state="running") for _ in range(clients + 4)]
        later = datetime.now(UTC) + timedelta(hours=1)
        jobs = [(job.id, job.trace_id, issue_job_token(settings, job.id, 1, later)) for job in made]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.heartbeats", "--serve", which, folder, str(port)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment_of(settings),
        )
        try:
            wait_for(port, server)
            uvloop.run(load(port, jobs[clients:], metrics, 0.3))
            cpu = psutil.Process(server.pid).cpu_times()
            began, busy = time.perf_counter(), time.process_time()
            latencies = sorted(uvloop.run(load(port, jobs[:clients], metrics, seconds)))
            took, busy = time.perf_counter() - began, time.process_time() - busy
            spent = psutil.Process(server.pid).cpu_times()
        finally:
            server.terminate()
            server.wait()
        with database.read() as session:
            rows = session.query(Heartbeat).count()
        database.close()
    if rows < len(latencies):
        raise SystemExit(f"{which}: {len(latencies)} heartbeats were answered, {rows} are stored")
    used = spent.user + spent.system - cpu.user - cpu.system
    return {
        "per_second": len(latencies) / took,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(len(latencies) * 0.99)],
        "cpu_us": 1e6 * used / len(latencies),
        "client_cpu_us": 1e6 * busy / len(latencies),
    }


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Return as soon as the server listens."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("the server did not start")


def main() -> None:
    """Measure both in turns, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--metrics", type=int, default=10, help="in each heartbeat, one at least")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve[0], Path(args.serve[1]), int(args.serve[2]))
        return
    servers = ["peer", "tiphys"]
    found = {which: measure(which, args.clients, args.metrics, args.seconds) for which in servers}
    if postgres.found():
        with postgres.server(durable=True) as server:
            for which in servers:
                url = server.create()
                found[f"{which}_postgres"] = measure(which, args.clients, args.metrics, args.seconds, url)
    found["ratio"] = {"per_second": found["tiphys"]["per_second"] / found["peer"]["per_second"]}
    if args.json:
        print(json.dumps(found))
        return
    print(f"{args.clients} clients, {args.metrics} metrics each, durable before the answer")
    rows(found, "SQLite", "peer", "tiphys")
    if "tiphys_postgres" in found:
        rows(found, "PostgreSQL", "peer_postgres", "tiphys_postgres")
    else:
        print(f"PostgreSQL: skipped, {postgres.HINT}")


def rows(found: dict[str, dict[str, float]], where: str, peer: str, ours: str) -> None:
    """Print a line for each of two, and their ratio."""
    for which, name in ((peer, "FastAPI + ORM commit"), (ours, "Tiphys")):
        got = found[which]
        print(
            f"{where:10} {name:20} {got['per_second']:6.0f}/s  p50 {got['p50_ms']:6.1f} ms  p99 {got['p99_ms']:6.1f} ms"
            f"   CPU each: server {got['cpu_us']:5.0f} us, client {got['client_cpu_us']:4.0f} us"
        )
    print(f"{where:10} ratio {found[ours]['per_second'] / found[peer]['per_second']:.1f} : 1")


if __name__ == "__main__":
    main()
