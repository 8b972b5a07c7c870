"""One look at everything that is not closed, again and again: level-triggered, each job for itself."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from api.jobs.status import State
from api.models import Job
from api.reconciler import budget, cancel, elsewhere, follow, silence, waiting
from api.reconciler.close import close, sweep
from api.reconciler.decide import stop_attempt
from api.reconciler.describe import Descriptions
from api.reconciler.elsewhere import Elsewhere
from api.reconciler.heard import Heard
from api.reconciler.load import OpenAttempt, in_turn, open_attempts, pending_jobs
from api.reconciler.logs import bring, has_log
from api.reconciler.look import Look, digest_of, version_of
from api.reconciler.nodes import Node, workflow_ended
from api.reconciler.patience import Patience
from api.reconciler.places import certain
from api.reconciler.presence import Presence
from api.reconciler.submit import Build, build_manifest, submit, unavailable
from api.reconciler.tools import Tools, note
from workflows.engine import EngineUnavailable

log = logging.getLogger("tiphys.reconciler")

TELL_AFTER = 3
"""Failures in a row after which a job's owner is told that following it does not work."""
CLOSE_ANYWAY_AFTER = timedelta(minutes=8)
"""How long logs that cannot be kept hold an attempt open: pods, and with them logs, go ten minutes after the end."""
SWEEP_EVERY = timedelta(minutes=10)
UNAVAILABLE_IN_A_ROW = 3
"""Jobs the engine may be unavailable for until the rest of a look is left for the next."""

LOGS_PER_LOOK = timedelta(seconds=5)
"""How long a look may spend on logs: each of a node out of reach takes its whole timeout, and following comes first."""

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
        self._seen: dict[_Key, Look] = {}
        self._logs = Patience(first=timedelta(seconds=5), longest=timedelta(minutes=5))
        self._logs_took = timedelta()
        self._logs_left_at: _Key | None = None
        self._closing: dict[_Key, datetime] = {}
        self._last: _Key = ("", 0)
        self._heard = Heard()
        self._waits = waiting.Waits(tools.database)
        self._descriptions = Descriptions()
        self._elsewhere = Elsewhere()
        self._lost: set[_Key] = set()
        self._read: set[tuple[str, str]] = set()
        self._swept: datetime | None = None

    def tick(self) -> None:
        """Looks once at every attempt that is not closed and every job that is pending."""
        now = self._tools.clock()
        attempts = open_attempts(self._tools.database)
        self._forget({(a.job_id, a.number) for a in attempts}, {a.name for a in attempts})
        self._logs_took = timedelta()
        here, lost = self._elsewhere.sort(self._tools, attempts, now=now)
        self._lost = {(a.job_id, a.number) for a in lost}
        self._follow_all(here + lost)
        self._submit_all(here, now)
        if self._swept is None or now - self._swept >= SWEEP_EVERY:
            self._swept = now
            try:
                sweep(self._tools, now=now)
            except Exception:
                log.exception("ended workflows could not be swept")

    def _follow_all(self, attempts: list[OpenAttempt]) -> None:
        away = 0
        for attempt in self._from_last(attempts):
            key = self._last = (attempt.job_id, attempt.number)
            now = self._tools.clock()  # a look at many jobs takes its time
            if attempt.waits_for_submit or not self._follows.ready(key, now):
                continue
            try:
                self._follow(attempt, now)
            except EngineUnavailable as error:
                log.warning("job %s: the engine is unavailable: %s", attempt.job_id, error.message)
                if self._follows.failed(key, now) == TELL_AFTER:
                    self._tell_away(attempt, error, now)
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
                away = 0

    def _follow(self, attempt: OpenAttempt, now: datetime) -> None:
        key = (attempt.job_id, attempt.number)
        if key in self._lost:
            elsewhere.left_behind(self._tools, attempt, now=now)
            follow.vanished(self._tools, attempt, now=now)
            self._close(attempt, (), now)
            return
        seen = self._seen.get(key)
        version = version_of(self._tools.engine, attempt.name)
        if seen is None or version is None or seen.version != version or not attempt.submitted:
            workflow = self._tools.engine.get(attempt.name)
            if workflow is None:
                self._gone(attempt, now)
                return
            digest = digest_of(workflow)
            if attempt.status_digest != digest or not attempt.submitted:
                follow.take_in(self._tools, attempt, workflow, digest=digest, now=now)
            seen = self._seen[key] = Look.of(workflow, version=version)
        status, nodes = seen.status, seen.nodes
        if workflow_ended(status):
            self._descriptions.look(self._tools, attempt, now=now, at_once=True)
            self._close(attempt, nodes.values(), now)
            return
        if cancel.shall_end(attempt):
            cancel.bring_to_end(self._tools, attempt, nodes, now=now)
        elif found := budget.spent(nodes):
            stop_attempt(self._tools, attempt, found.reason, found.message, now=now)
        else:
            self._listen(attempt, nodes, now)
            self._wait(attempt, status, nodes, now)
            cancel.end_exit_handler(self._tools, attempt, nodes, now=now)
            if attempt.state is State.RUNNING:
                self._descriptions.look(self._tools, attempt, now=now)
        if self._may_read_logs(key, now):
            began = self._tools.clock()
            self._bring_logs(attempt, nodes, now)
            self._logs_took += self._tools.clock() - began

    def _may_read_logs(self, key: _Key, now: datetime) -> bool:
        if not self._logs.ready(key, now):
            return False
        if self._logs_took >= LOGS_PER_LOOK:
            self._logs_left_at = self._logs_left_at or key
            return False
        return True

    def _gone(self, attempt: OpenAttempt, now: datetime) -> None:
        if not certain(attempt.place, self._tools.engine.place):
            raise EngineUnavailable("it is not known yet which cluster this is")
        if not attempt.submitted:
            # A submit that broke off may have left the Secret, and nobody comes back for this one.
            self._tools.engine.delete(attempt.name)
        follow.vanished(self._tools, attempt, now=now)
        if attempt.submitted:
            self._close(attempt, (), now)

    def _close(self, attempt: OpenAttempt, nodes: Iterable[Node], now: datetime) -> None:
        key = (attempt.job_id, attempt.number)
        since = self._closing.get(key, now)
        give_up = now - since >= CLOSE_ANYWAY_AFTER
        if not self._may_read_logs(key, now):
            return
        began = self._tools.clock()
        try:
            close(self._tools, attempt, nodes, now=now, give_up=give_up)
        except EngineUnavailable as error:
            # The job has ended, and its record says how: only the rest of its log is waited for.
            log.info("job %s: a log cannot be read now: %s", attempt.job_id, error.message)
            self._closing.setdefault(key, now)
            self._logs.failed(key, now)
            return
        except Exception:
            self._closing.setdefault(key, now)
            raise
        finally:
            self._logs_took += self._tools.clock() - began
        self._closing.pop(key, None)

    def _from_last(self, attempts: list[OpenAttempt]) -> list[OpenAttempt]:
        # A look that broke off is gone on with: whoever comes late in the order has its turn, too.
        ordered = sorted(attempts, key=lambda attempt: (attempt.job_id, attempt.number))
        place = bisect_right(ordered, self._last, key=lambda attempt: (attempt.job_id, attempt.number))
        if self._logs_left_at is not None:
            place = bisect_left(ordered, self._logs_left_at, key=lambda attempt: (attempt.job_id, attempt.number))
            self._logs_left_at = None
        return ordered[place:] + ordered[:place]

    def _listen(self, attempt: OpenAttempt, nodes: Mapping[str, Node], now: datetime) -> None:
        train = silence.running_train(nodes)
        if train is None or attempt.state is not State.RUNNING:
            self._heard.forget(attempt)
            return
        heard = self._heard.look(attempt, train, now=now)
        self._presence.look(now)
        found = silence.silence(
            attempt,
            nodes,
            now=now,
            heard_since=max(self._presence.last_absent, heard),
            warn_after=timedelta(seconds=self._tools.settings.silence_warning),
        )
        if found is None:
            return
        if found.deed == "fail" and silence.let_go(self._tools, attempt, found, train, now=now):
            # The engine needs a moment to see that the process is gone, and longer to find it another place.
            self._heard.forget(attempt)
        else:
            silence.act(self._tools, attempt, found, now=now)

    def _wait(self, attempt: OpenAttempt, status: Mapping[str, Any], nodes: Mapping[str, Node], now: datetime) -> None:
        # The local engine's queue is this machine's own: it always moves, and keeps deadlines by itself.
        if self._tools.settings.engine == "local" or waiting.past_deadline(self._tools, attempt, status, now=now):
            return
        found = self._waits.look(attempt, status, nodes, now=now)
        if found is not None:
            waiting.act(self._tools, self._waits, attempt, found, now=now)

    def _bring_logs(self, attempt: OpenAttempt, nodes: Mapping[str, Node], now: datetime) -> None:
        mine = (attempt.job_id, attempt.number)
        for node in nodes.values():
            key = (attempt.name, node.id)
            if has_log(node) and key not in self._read:
                try:
                    whole = bring(self._tools, attempt, node)
                except EngineUnavailable as error:
                    # One node out of reach, of which many jobs may have had a pod: nothing else of theirs waits for it.
                    log.info("job %s: a log cannot be read now: %s", attempt.job_id, error.message)
                    self._logs.failed(mine, now)
                    return
                self._logs.succeeded(mine)
                if whole and node.ended:
                    self._read.add(key)
            elif not node.ended:
                self._read.discard(key)  # it went back and writes again

    def _submit_all(self, attempts: list[OpenAttempt], now: datetime) -> None:
        places = self._tools.settings.max_active_jobs - sum(attempt.active for attempt in attempts)
        if places <= 0:
            return
        away = 0
        # Who waits for another try keeps nobody else from a place.
        resting = self._submits.resting(now)
        waiting = pending_jobs(self._tools.database, places, leaving_out=self._elsewhere.pinned | resting)
        waiting = in_turn(waiting, attempts)[:places]
        self._submits.keep_only(resting | {(job.job_id, job.number) for job in waiting})
        for job in waiting[:SUBMITS_PER_LOOK]:
            key = (job.job_id, job.number)
            try:
                submit(self._tools, job.job_id, job.number, build=self._build)
                self._submits.succeeded(key)
            except EngineUnavailable as error:
                log.warning("job %s: the engine is unavailable: %s", job.job_id, error.message)
                self._submits.failed(key, now)
                unavailable(self._tools, job.job_id, job.number, error.message, now=now)
                away += 1
                if away >= UNAVAILABLE_IN_A_ROW:
                    return
            except Exception as error:
                log.exception("job %s could not be submitted", job.job_id)
                if self._submits.failed(key, now) == TELL_AFTER:
                    self._tell_trouble(job, error, now)

    def _tell_away(self, attempt: OpenAttempt, error: EngineUnavailable, now: datetime) -> None:
        text = f"The engine cannot be asked how this job stands: {error.message}. What runs goes on, and is seen later."
        try:
            with self._tools.database.write() as session:
                if session.get(Job, attempt.job_id) is not None:
                    note(session, attempt.job_id, attempt.number, "engine_away", text, at=now)
        except Exception:
            log.exception("job %s: that the engine is away could not be recorded", attempt.job_id)

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
        self._logs.keep_only(set(keys))
        self._closing = {key: since for key, since in self._closing.items() if key in keys}
        self._seen = {key: look for key, look in self._seen.items() if key in keys}
        self._heard.keep_only(keys)
        self._read = {read for read in self._read if read[0] in names}
        self._waits.keep_only(names)
        self._descriptions.keep_only(names)
