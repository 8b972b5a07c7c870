"""Prints how 10,000 jobs submitted at once wait: how many the engine ever sees, whose turn it is, what waiting costs.

The API and the reconciler are the real ones, each in a process of its own; the engine plays a cluster in which every
job takes a while. Run it as `python -m tests.bench.job_queue [--jobs 10000] [--depth 200] [--postgres]`.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from api.artifacts.storage import open_storage
from api.db import Database
from api.reconciler.loop import Reconciler
from api.reconciler.tools import Tools
from api.settings import Settings, prepare_home
from tests import postgres

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "tiphys_bench"
KEYS = {"k": "a-key-that-every-process-of-this-benchmark-knows"}
PROJECTS = {"big": 0.7, "middle": 0.2, "small": 0.09, "tiny": 0.01}
"""Which share of the jobs each project submits."""
CLIENTS, TICK = 4, 0.1
PATIENCE = 900.0


class StandIn:
    """Runs every workflow for a while, one node each; remembers the order and the most that it held at a time."""

    place = "argo/jobs@one"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.going = False
        """Until then no job comes to its end."""
        self._began: dict[str, float] = {}
        self._ended: set[str] = set()
        self.order: list[str] = []
        self.most = 0

    def submit(self, manifest: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        name = manifest["metadata"]["name"]
        if name in self._began or name in self._ended:
            return
        self._began[name] = time.monotonic()
        self.order.append(name)
        self.most = max(self.most, len(self._began))

    def get(self, name: str) -> dict[str, Any] | None:
        began = self._began.get(name)
        if began is None and name not in self._ended:
            return None
        over = began is None or (self.going and time.monotonic() - began >= self._seconds)
        if over:
            self._ended.add(name)
            self._began.pop(name, None)
        phase, now = "Succeeded" if over else "Running", "2026-11-21T12:00:00Z"
        node = {"id": f"{name}-1", "name": f"{name}.train", "templateName": "train", "type": "Pod", "phase": phase}
        return {
            "metadata": {"name": name},
            "spec": {},
            "status": {"phase": phase, "startedAt": now, "nodes": {"1": node}},
        }

    def names(self, *, live: bool = False) -> list[str]:
        return [*self._began, *self._ended]

    def logs(self, name: str, node_id: str, offset: int) -> bytes:
        return b""

    def stop(self, name: str) -> None: ...

    def terminate(self, name: str) -> None: ...

    def delete(self, name: str) -> None:
        self._began.pop(name, None)
        self._ended.discard(name)


def reconcile(settings: Settings, seconds: float) -> None:
    """Be the reconciler until standard input closes; a line there lets the engine's jobs end."""
    database, engine = Database(settings.resolved_database_url()), StandIn(seconds)
    tools = Tools(
        settings=settings,
        database=database,
        engine=engine,
        shelf=lambda: open_storage(settings),
        api_answers=lambda: True,
    )
    reconciler, stop = Reconciler(tools), threading.Event()

    def hear() -> None:
        for _ in sys.stdin:
            engine.going = True
        stop.set()

    threading.Thread(target=hear, daemon=True).start()
    process, told, ticks = psutil.Process(), time.monotonic(), []
    while not stop.is_set():
        began = time.thread_time()
        reconciler.tick()
        ticks.append(1000 * (time.thread_time() - began))
        if time.monotonic() - told >= 1:
            rss = process.memory_info().rss / 2**20
            print(
                json.dumps({"rss": rss, "ticks": ticks, "submitted": len(engine.order), "most": engine.most}),
                flush=True,
            )
            told, ticks = time.monotonic(), []
        stop.wait(settings.tick)
    print(json.dumps({"order": engine.order}), flush=True)


@dataclass(frozen=True)
class Span:
    """Some seconds of a process."""

    p50: float
    p99: float
    """What its ticks used of a processor, ms: their time on the clock depends on who else is at work."""
    rss: float
    """MiB at its end."""


class Samples:
    """Hears a child that prints `rss`, `ticks`, `submitted` and `most`, and at its end `order`."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._told: list[dict[str, Any]] = []
        self._order: list[str] = []
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    @property
    def submitted(self) -> int:
        return int(self._told[-1]["submitted"]) if self._told else 0

    @property
    def most(self) -> int:
        return int(self._told[-1]["most"])

    def last(self, count: int) -> Span:
        """The last samples as one."""
        some = self._told[-count:]
        ticks = sorted(tick for sample in some for tick in sample["ticks"])
        return Span(ticks[len(ticks) // 2], ticks[int(len(ticks) * 0.99)], float(some[-1]["rss"]))

    def wait(self, count: int) -> None:
        """Waits for so many samples more."""
        self._until(lambda there=len(self._told): len(self._told) >= there + count)

    def until(self, submitted: int) -> None:
        """Waits until so much is submitted."""
        self._until(lambda: self.submitted >= submitted)

    def go(self) -> None:
        """Says a word to the child."""
        assert self._child.stdin
        self._child.stdin.write(b"\n")
        self._child.stdin.flush()

    def end(self) -> list[str]:
        """Ends the child; returns the order it tells."""
        assert self._child.stdin
        self._child.stdin.close()
        self._thread.join()
        return self._order

    def _until(self, holds: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline or self._child.poll() is not None:
                raise SystemExit("the reconciler did not come that far")
            time.sleep(0.1)

    def _hear(self) -> None:
        assert self._child.stdout
        for line in self._child.stdout:
            told = json.loads(line)
            if "order" in told:
                self._order = told["order"]
            else:
                self._told.append(told)


def environment(home: Path, url: str | None, depth: int) -> dict[str, str]:
    found = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TIPHYS_HOME": str(home), "TIPHYS_USER_TOKEN": TOKEN}
    found |= {"TIPHYS_SIGNING_KEYS": json.dumps(KEYS), "TIPHYS_TICK": str(TICK), "TIPHYS_MAX_ACTIVE_JOBS": str(depth)}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found["TIPHYS_PORT"] = str(free.getsockname()[1])
    return found | ({"TIPHYS_DATABASE_URL": url} if url else {})


@contextmanager
def running(*words: str, env: dict[str, str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-m", *words], env=env, cwd=ROOT, **options)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def submit(url: str, jobs: int, data: Path) -> tuple[dict[str, str], float]:
    """Submits everything with a few clients; returns project by job id, and the seconds it took."""
    wanted = [name for name, share in PROJECTS.items() for _ in range(round(jobs * share))]
    wanted.sort(key=lambda name: list(PROJECTS).index(name))  # the biggest first: the others find its queue before them
    headers = {"Authorization": f"Bearer {TOKEN}"}
    made: dict[str, str] = {}
    began = time.perf_counter()

    def some(mine: list[str]) -> None:
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
            for project in mine:
                body = {"framework": "toy", "model": "softmax", "dataset": str(data), "project": project}
                answer = http.post("/api/v1/training/jobs", json=body | {"hyperparameters": {"epochs": 1}})
                answer.raise_for_status()
                made[answer.json()["id"]] = project

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(some, [wanted[n::CLIENTS] for n in range(CLIENTS)]))
    return made, time.perf_counter() - began


def shares(projects: Iterable[str]) -> str:
    """How many jobs of each project."""
    count = Counter(projects)
    return ", ".join(f"{name} {count[name]}" for name in PROJECTS)


def wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/ready", params={"check": "database"}, trust_env=False).is_success:
                return
        except httpx.TransportError:
            if child.poll() is not None:
                break
        time.sleep(0.1)
    raise SystemExit("the API did not start")


def measure(home: Path, database_url: str | None, jobs: int, depth: int, seconds: float, drain: int) -> None:
    data = home / "digits"
    data.mkdir(parents=True)
    (data / "annotations.json").write_text("{}")
    env = environment(home, database_url, depth)
    url = f"http://127.0.0.1:{env['TIPHYS_PORT']}"
    with running("api", env=env) as api:
        wait_for(url, api)
        with running(
            "tests.bench.job_queue", "--reconcile", str(seconds), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            samples = Samples(child)
            first, _ = submit(url, depth, data)
            samples.until(len(first))
            samples.wait(8)
            alone = samples.last(6)
            made, took = submit(url, jobs, data)
            print(f"submitted            {len(made)} jobs in {took:.0f} s, {len(made) / took:.0f}/s, {CLIENTS} clients")
            samples.wait(10)
            full = samples.last(8)
            began = time.monotonic()
            samples.go()
            samples.until(len(first) + drain)
            rate = drain / (time.monotonic() - began)
            later = samples.last(5)
            order = samples.end()
    print(f"the engine saw       {samples.most} jobs at most, of {depth} it may; {rate:.0f} jobs/s went through it")
    print(f"asked for            {shares(made.values())}")
    print(
        f"the first {drain:<10} {shares(made[name.split('-')[1]] for name in order[len(first) : len(first) + drain])}"
    )
    spans = {f"{depth} running": alone, f"{jobs} waiting": full, f"{drain} later": later}
    for what, got in spans.items():
        print(f"{what:20} tick p50 {got.p50:6.1f}   p99 {got.p99:6.1f} ms CPU   RSS {got.rss:6.1f} MiB")
    print(
        f"what waits costs     {full.p50 - alone.p50:+.1f} ms CPU a tick, ratio {full.p50 / alone.p50:.2f}; "
        f"{full.rss - alone.rss:+.1f} MiB"
    )
    if samples.most > depth:
        raise SystemExit("the engine was given more than its depth")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--depth", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5, help="how long each job takes in the engine")
    parser.add_argument("--drain", type=int, default=1500, help="how many are started after all were submitted")
    parser.add_argument("--postgres", action="store_true", help="over PostgreSQL; default: over SQLite")
    parser.add_argument("--reconcile", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reconcile is not None:
        reconcile(prepare_home(Settings()), args.reconcile)
        return
    with (
        postgres.server(durable=True) if args.postgres else nullcontext() as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        url = server.create(migrated=False) if server else None
        print(
            f"== {'PostgreSQL' if url else 'SQLite'}, {args.jobs} jobs of {len(PROJECTS)} projects, depth {args.depth}"
        )
        measure(Path(folder) / "home", url, args.jobs, args.depth, args.seconds, args.drain)


if __name__ == "__main__":
    main()
