"""One look of the reconciler at thousands of open workflows that a watch keeps in sight; part of argo_watch."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from api.db import Database
from api.reconciler.loop import Reconciler
from api.reconciler.tools import Tools
from api.settings import Settings, prepare_home
from tests.api.factories import create_job
from tests.cluster.namespace import Namespace
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine

TICKS = 20


class Counted(Client):
    """A client that counts what is asked of the cluster, watches aside."""

    calls = 0

    def call(self, *words: Any, **more: Any) -> Any:
        self.calls += 1
        return super().call(*words, **more)

    def stream(self, path: str, **more: Any) -> Any:
        self.calls += "watch" not in more["query"]
        return super().stream(path, **more)


def look(namespace: Namespace, job_ids: list[str]) -> None:
    """Prints what a look at all these jobs costs, once a watch has seen them."""
    with tempfile.TemporaryDirectory() as folder:
        count = len(job_ids)
        settings = prepare_home(Settings(home=Path(folder), engine="argo", max_active_jobs=count))
        database = Database(settings.resolved_database_url())
        database.migrate()
        with database.write() as session:
            for job_id in job_ids:
                create_job(session, id=job_id, state="running")
        client = Counted(dataclasses.replace(namespace.admin, namespace=namespace.name))
        engine = ArgoEngine(client)
        tools = Tools(settings=settings, database=database, engine=engine, shelf=_none, api_answers=lambda: True)
        reconciler, stop = Reconciler(tools), threading.Event()
        thread = threading.Thread(target=engine.serve, args=(stop,))
        thread.start()
        while not engine.watcher.ready:
            time.sleep(0.05)
        client.calls, began = 0, time.monotonic()
        reconciler.tick()
        print(f"first look at {count} workflows never seen: {time.monotonic() - began:.1f} s, {client.calls} calls")
        client.calls, took, spent = 0, [], []
        for _ in range(TICKS):
            began, busy = time.monotonic(), time.thread_time()
            reconciler.tick()
            took.append(time.monotonic() - began)
            spent.append(time.thread_time() - busy)
        print(
            f"a look with nothing new: median {statistics.median(took) * 1000:.0f} ms "
            f"({statistics.median(spent) * 1000:.0f} ms of CPU), worst {max(took) * 1000:.0f} ms, "
            f"{client.calls / TICKS:.1f} calls each"
        )
        fresh, began = Reconciler(tools), time.monotonic()
        fresh.tick()
        print(f"first look of a reconciler started anew, records as they are: {time.monotonic() - began:.1f} s")
        stop.set()
        thread.join()
        engine.close()
        database.close()


def _none() -> Any:
    raise AssertionError("nothing ends here")
