"""Prints how soon a live stream tells of a heartbeat that another replica took, beside one of the same replica.

Two real APIs on one PostgreSQL; skipped where there is none (see tests/postgres.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from pydantic import SecretStr

from api.auth import issue_job_token
from api.db import Database
from api.settings import Settings
from tests import postgres
from tests.api.factories import USER_TOKEN, create_job, environment_of

ROOT = Path(__file__).resolve().parents[2]
GOAL = 1.0
_EPOCH = re.compile(rb'"epoch":(\d+)')


async def call(
    port: int, words: str, token: str, body: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Sends one request; returns what answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"{words} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    return reader, writer


async def watch(port: int, job_id: str, heard: dict[tuple[str, int], float]) -> None:
    """Follows a job's stream, noting when each epoch is told."""
    reader, _ = await call(port, f"GET /api/v1/training/jobs/{job_id}/stream", USER_TOKEN)
    async for line in reader:
        if line.startswith(b"data: ") and (match := _EPOCH.search(line)):
            heard.setdefault((job_id, int(match[1])), time.perf_counter())


async def lags(
    settings: Settings, jobs: list[tuple[str, str]], to: int, streams: int, seconds: float, *, first: int
) -> list[float]:
    """Seconds from the answer to a heartbeat on one port until the job's stream on another has told it."""
    heard: dict[tuple[str, int], float] = {}
    answered: dict[tuple[str, int], float] = {}
    watching = [asyncio.create_task(watch(streams, job_id, heard)) for job_id, _ in jobs]
    later, until, epoch = datetime.now(UTC) + timedelta(hours=1), time.perf_counter() + seconds, first
    await asyncio.sleep(2)
    while time.perf_counter() < until + 2:
        epoch += 1
        job_id, trace = jobs[epoch % len(jobs)]
        body = json.dumps({"trace_id": trace, "epoch": epoch}).encode()
        token = issue_job_token(settings, job_id, 1, later)
        reader, writer = await call(to, f"POST /v1/jobs/{job_id}/heartbeat", token, body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        answered[(job_id, epoch)] = time.perf_counter()
        writer.close()
        await asyncio.sleep(0.03)
    await asyncio.sleep(2)
    for task in watching:
        task.cancel()
    missing = answered.keys() - heard.keys()
    if missing:
        raise SystemExit(f"{len(missing)} heartbeats were never told")
    return sorted(max(0.0, heard[key] - at) for key, at in answered.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    if not postgres.found():
        print(f"skipped: {postgres.HINT}")
        return
    with ExitStack() as stack:
        url = stack.enter_context(postgres.server(durable=True)).create()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keys = {"k": SecretStr("k" * 40)}
        settings = Settings(home=folder, database_url=url, user_token=SecretStr(USER_TOKEN), signing_keys=keys)
        database = Database(url)
        with database.write() as session:
            jobs = [
                (job.id, job.trace_id) for job in [create_job(session, state="running") for _ in range(args.streams)]
            ]
        database.close()
        ports, children = [], []
        for name in ("a", "b"):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                ports.append(int(free.getsockname()[1]))
            told = {"TIPHYS_HOME": str(folder / name), "TIPHYS_PORT": str(ports[-1]), "PYTHONPATH": str(ROOT)}
            environment = os.environ | environment_of(settings) | told
            children.append(subprocess.Popen([sys.executable, "-m", "api"], env=environment, cwd=ROOT))
            stack.callback(children[-1].wait)
            stack.callback(children[-1].kill)
        for port in ports:
            wait_for(port)
        print(f"{args.streams} streams of as many jobs, 30 heartbeats a second")
        found = {}
        for what, streams, first in (("the same replica", ports[0], 0), ("another replica", ports[1], 100_000)):
            reader = psutil.Process(children[ports.index(streams)].pid)
            before = sum(reader.cpu_times()[:2])
            lag = asyncio.run(lags(settings, jobs, ports[0], streams, args.seconds, first=first))
            used = (sum(reader.cpu_times()[:2]) - before) / (args.seconds + 6)
            p50, p99 = (1000 * lag[int(len(lag) * part)] for part in (0.5, 0.99))
            found[what] = p99 / 1000
            print(f"{what:17} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   CPU {100 * used:3.0f} %")
    ratio = found["another replica"] / max(found["the same replica"], 0.001)
    print(f"p99 ratio {ratio:.1f} : 1, goal below {GOAL:.0f} s")


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the API did not start")


if __name__ == "__main__":
    main()
