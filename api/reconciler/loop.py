"""One look at everything that is not closed, again and again: level-triggered, each job for itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from api.jobs.status import State
from api.models import Job
from api.reconciler import cancel, follow, silence
from api.reconciler.close import close, sweep
from api.reconciler.load import OpenAttempt, in_turn, open_attempts, pending_jobs
from api.reconciler.logs import bring, has_log
from api.reconciler.nodes import Node, nodes_of, workflow_ended
from api.reconciler.patience import Patience
from api.reconciler.presence import Presence
from api.reconciler.submit import Build, build_manifest, submit, unavailable
from api.reconciler.tools import Tools, note
from workflows.engine import EngineUnavailable

log = logging.getLogger("tiphys.reconciler")

TELL_AFTER = 3
"""Failures in a row after which a job's owner is told that following it does not work."""
CLOSE_ANYWAY_AFTER = 6
"""Failures in a row after which an attempt is closed without its logs in storage."""
SWEEP_EVERY = timedelta(minutes=10)
UNAVAILABLE_IN_A_ROW = 3
"""Jobs the engine may be unavailable for until the rest of a look is left for the next."""

SUBMITS_PER_LOOK = 20
"""So that a thousand new jobs do not keep those that run from being followed."""

_Key = tuple[str, int]


class Reconciler:
    """Brings records and engine together; it keeps nothing in memory that a fresh one could not find again."""

    def __init__(self, tools: Tools, *, build: Build = build_manifest) -> None:
        self._tools = tools
        self._build = build
        self._presence = Presence(tools.api_answers, started=tools.clock())
        self._submits = Patience(first=timedelta(seconds=1), longest=timedelta(minutes=1))
        self._follows = Patience(first=timedelta(seconds=0.5), longest=timedelta(minutes=1))
        self._seen: dict[_Key, bytes] = {}
        self._trains: dict[_Key, tuple[str, datetime]] = {}
        self._read: set[tuple[str, str]] = set()
        self._swept: datetime | None = None

    def tick(self) -> None:
        """Looks once at every attempt that is not closed and every job that is pending."""
        now = self._tools.clock()
        attempts = open_attempts(self._tools.database)
        self._forget({(a.job_id, a.number) for a in attempts}, {a.name for a in attempts})
        self._follow_all(attempts)
        self._submit_all(attempts, now)
        if self._swept is None or now - self._swept >= SWEEP_EVERY:
            self._swept = now
            try:
                sweep(self._tools, now=now)
            except Exception:
                log.exception("ended workflows could not be swept")

    def _follow_all(self, attempts: list[OpenAttempt]) -> None:
        away = 0
        for attempt in attempts:
            key = (attempt.job_id, attempt.number)
            now = self._tools.clock()  # a look at many jobs takes its time
            if attempt.waits_for_submit or not self._follows.ready(key, now):
                continue
            try:
                self._follow(attempt, now)
            except EngineUnavailable as error:
                log.warning("job %s: the engine is unavailable: %s", attempt.job_id, error.message)
                self._follows.failed(key, now)
                away += 1
                if away >= UNAVAILABLE_IN_A_ROW:
                    return
            except Exception as error:
                # One job's trouble, whatever it is, must not keep the others from being followed.
                log.exception("job %s, attempt %d could not be followed", attempt.job_id, attempt.number)
                if self._follows.failed(key, now) == TELL_AFTER:
                    self._tell_trouble(attempt, error, now)
            else:
                self._follows.succeeded(key)

    def _follow(self, attempt: OpenAttempt, now: datetime) -> None:
        workflow = self._tools.engine.get(attempt.name)
        if workflow is None:
            self._gone(attempt, now)
            return
        status = workflow.get("status") or {}
        key = (attempt.job_id, attempt.number)
        digest = _digest(workflow)
        if self._seen.get(key) != digest or not attempt.submitted:
            follow.take_in(self._tools, attempt, workflow, now=now)
            self._seen[key] = digest
        nodes = nodes_of(status)
        if workflow_ended(status):
            failures = self._follows.times(key)
            close(self._tools, attempt, nodes.values(), now=now, give_up=failures >= CLOSE_ANYWAY_AFTER)
            return
        if cancel.shall_end(attempt):
            cancel.bring_to_end(self._tools, attempt, nodes, now=now)
        else:
            self._listen(attempt, nodes, now)
        self._bring_logs(attempt, nodes)

    def _gone(self, attempt: OpenAttempt, now: datetime) -> None:
        follow.vanished(self._tools, attempt, now=now)
        if attempt.submitted:
            failures = self._follows.times((attempt.job_id, attempt.number))
            close(self._tools, attempt, (), now=now, give_up=failures >= CLOSE_ANYWAY_AFTER)

    def _listen(self, attempt: OpenAttempt, nodes: Mapping[str, Node], now: datetime) -> None:
        train = silence.running_train(nodes)
        key = (attempt.job_id, attempt.number)
        if train is None or attempt.state is not State.RUNNING:
            self._trains.pop(key, None)
            return
        if self._trains.get(key, ("", now))[0] != train.id:
            self._trains[key] = (train.id, now)
        self._presence.look(now)
        found = silence.silence(
            attempt,
            nodes,
            now=now,
            heard_since=max(self._presence.last_absent, self._trains[key][1]),
            warn_after=timedelta(seconds=self._tools.settings.silence_warning),
        )
        # The engine was asked in this very look: the train node was still running a moment ago.
        if found is not None:
            silence.act(self._tools, attempt, found, now=now)

    def _bring_logs(self, attempt: OpenAttempt, nodes: Mapping[str, Node]) -> None:
        for node in nodes.values():
            key = (attempt.name, node.id)
            if has_log(node) and key not in self._read:
                whole = bring(self._tools.engine, self._tools.settings, attempt, node)
                if whole and node.ended:
                    self._read.add(key)
            elif not node.ended:
                self._read.discard(key)  # it went back and writes again

    def _submit_all(self, attempts: list[OpenAttempt], now: datetime) -> None:
        places = self._tools.settings.max_active_jobs - sum(attempt.active for attempt in attempts)
        if places <= 0:
            return
        away = 0
        waiting = in_turn(pending_jobs(self._tools.database, places), attempts)[:places]
        self._submits.keep_only({(job.job_id, job.number) for job in waiting})
        for job in [j for j in waiting if self._submits.ready((j.job_id, j.number), now)][:SUBMITS_PER_LOOK]:
            key = (job.job_id, job.number)
            try:
                submit(self._tools, job.job_id, job.number, build=self._build)
                self._submits.succeeded(key)
            except EngineUnavailable as error:
                log.warning("job %s: the engine is unavailable: %s", job.job_id, error.message)
                if self._submits.failed(key, now) == 1:
                    unavailable(self._tools, job.job_id, job.number, error.message, now=now)
                away += 1
                if away >= UNAVAILABLE_IN_A_ROW:
                    return
            except Exception as error:
                log.exception("job %s could not be submitted", job.job_id)
                if self._submits.failed(key, now) == TELL_AFTER:
                    self._tell_trouble(job, error, now)

    def _tell_trouble(self, job: Any, error: Exception, now: datetime) -> None:
        kind = type(error).__name__
        text = f"This job cannot be brought on at the moment ({kind}: {error}); it is tried again. See the log of `up`."
        try:
            with self._tools.database.write() as session:
                if session.get(Job, job.job_id) is not None:
                    note(session, job.job_id, job.number, "reconcile_trouble", text, at=now, key=f"trouble:{kind}")
        except Exception:
            log.exception("job %s: its trouble could not be recorded", job.job_id)

    def _forget(self, keys: set[_Key], names: set[str]) -> None:
        self._follows.keep_only(set(keys))
        self._seen = {key: digest for key, digest in self._seen.items() if key in keys}
        self._trains = {key: since for key, since in self._trains.items() if key in keys}
        self._read = {read for read in self._read if read[0] in names}


def _digest(workflow: Mapping[str, Any]) -> bytes:
    seen = (workflow.get("status"), (workflow.get("spec") or {}).get("shutdown"))
    return blake2b(json.dumps(seen, sort_keys=True, default=str).encode(), digest_size=16).digest()
