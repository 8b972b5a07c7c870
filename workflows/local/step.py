"""One step of the engine over all open workflows: look, decide, write down, and only then act."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from workflows.engine import EngineRefused
from workflows.local.advance import Advance
from workflows.local.capacity import Capacity, Request, place
from workflows.local.collect import collect
from workflows.local.enforce import enforce, remaining
from workflows.local.images import LocalImages
from workflows.local.mounts import Mounts, mounts
from workflows.local.plan import grace_seconds, plan, secrets
from workflows.local.pods import Pods
from workflows.local.record import PodRecord, Workflow
from workflows.local.store import Store
from workflows.local.summary import summarize
from workflows.local.variables import substitute

REST_SECONDS = 0.5
INITIALIZING = "PodInitializing"


@dataclass(frozen=True)
class Seat:
    """A pod of a workflow: where the three meet."""

    workflow: Workflow
    key: str
    record: PodRecord


class Step:
    """Looks at every pod, decides what follows, saves, then starts, stops and removes."""

    def __init__(
        self,
        store: Store,
        pods: Pods,
        images: LocalImages,
        capacity: Capacity,
        *,
        workflows: dict[str, Workflow],
        now: float,
    ) -> None:
        self.store = store
        self.pods = pods
        self.images = images
        self.capacity = capacity
        self.workflows = workflows
        self.now = now
        self._over: set[str] = set()
        self._gone: set[str] = set()
        self._actions: list[Callable[[], object]] = []

    def run(self, requests: Iterable[tuple[str, str]]) -> bool:
        """Takes the step; True if anything changed."""
        open_deletes = self._take(requests)
        to_start: list[Seat] = []
        for workflow in self.workflows.values():
            to_start += self._advance(workflow)
        to_start += self._schedule()
        changed = self._save()
        for action in self._actions:
            action()
        for seat in to_start:
            try:
                self._start(seat)
            except (EngineRefused, OSError) as error:  # no environment, no room: tried again at every step
                node = seat.workflow.nodes[seat.key]
                seat.workflow.set(node, message=f"CreateContainerError: {error}")
        for name in open_deletes:
            self._delete(name)
        return changed or bool(self._actions)

    def is_over(self, name: str) -> bool:
        """Tells whether a workflow needs no more steps."""
        return name in self._over or name in self._gone

    def _take(self, requests: Iterable[tuple[str, str]]) -> list[str]:
        deletes: list[str] = []
        for name, verb in requests:
            workflow = self.workflows.get(name)
            if verb == "delete":
                deletes.append(name)
                if workflow is not None and workflow.shutdown != "Terminate":
                    self._shut(workflow, "Terminate")
                continue
            if verb in {"stop", "terminate"} and workflow is not None:
                self._shut(workflow, verb.capitalize())
            self._actions.append(partial(self.store.answered, name, verb))
        return deletes

    def _shut(self, workflow: Workflow, strategy: str) -> None:
        if strategy == "Terminate" and workflow.shutdown is not None:
            # Asked before and still there: patience is over.
            for record in workflow.pods.values():
                if not record.over:
                    workflow.mark(record, kill=True)
        if strategy == "Terminate" or workflow.shutdown is None:
            workflow.changed = workflow.changed or workflow.shutdown != strategy
            workflow.shutdown = strategy

    def _advance(self, workflow: Workflow) -> list[Seat]:
        lost: list[Seat] = []
        for key, record in workflow.pods.items():
            if record.over or not record.launched:
                continue
            folder = self.store.pod(workflow.name, key)
            seen = self.pods.observe(folder)
            if seen.state == "absent" and record.stop is None:
                # Written down as started, but the engine ended before it was: start it now.
                lost.append(Seat(workflow, key, record))
                continue
            collect(
                workflow, workflow.nodes[key], record, seen, mounts=self._mounts(workflow, key, record), folder=folder,
                now=self.now,
            )  # fmt: skip
            if record.over:
                self._actions.append(partial(self.pods.clear, folder))
        if not workflow.changed and self.now < workflow.rests_until:
            return lost
        enforce(workflow, now=self.now)
        Advance(workflow, self.now).run()
        # Nothing moves without an event, a deadline or the end of a backoff; the last two are looked for now and then.
        workflow.rests_until = 0.0 if workflow.changed else self.now + REST_SECONDS
        for key, record in workflow.pods.items():
            if record.stop is not None and not record.over:
                folder = self.store.pod(workflow.name, key)
                self._actions.append(partial(self.pods.stop, folder, record.stop, kill=record.kill))
        return lost

    def _schedule(self) -> list[Seat]:
        seats = [Seat(flow, key, record) for flow in self.workflows.values() for key, record in flow.pods.items()]
        waiting = [seat for seat in seats if not seat.record.launched and not seat.record.over and self._ready(seat)]
        if not waiting:
            return []
        waiting.sort(key=lambda seat: seat.record.queued)
        held = [(seat.record.cpu, seat.record.gpus) for seat in seats if seat.record.launched and not seat.record.over]
        asked = [self._request(seat).clamped(self.capacity) for seat in waiting]
        starting: list[Seat] = []
        for seat, (request, note), placed in zip(
            waiting, asked, place([request for request, _ in asked], held, self.capacity), strict=True
        ):
            flow, record = seat.workflow, seat.record
            if placed.message is not None:
                flow.set(flow.nodes[seat.key], message=placed.message)
                continue
            flow.set(flow.nodes[seat.key], message=note or INITIALIZING)
            flow.mark(record, launched=True, cpu=request.cpu, gpus=list(placed.gpus), note=note)
            starting.append(seat)
        return starting

    def _ready(self, seat: Seat) -> bool:
        """A pod whose secret is missing waits without a slot, and says so."""
        flow = seat.workflow
        missing = secrets(flow.templates[seat.record.template]["container"], flow.secrets).missing
        if missing is not None:
            flow.set(flow.nodes[seat.key], message=missing)
        return missing is None

    def _request(self, seat: Seat) -> Request:
        container = seat.workflow.templates[seat.record.template]["container"]
        return Request.of(container.get("resources") or {})

    def _save(self) -> bool:
        changed = False
        for workflow in self.workflows.values():
            if workflow.changed:
                summarize(workflow)
                self.store.save(workflow.name, workflow.state())
                workflow.changed = False
                changed = True
            if workflow.finished:
                self._over.add(workflow.name)
                self._actions.append(partial(self._close, workflow))
        return changed

    def _start(self, seat: Seat) -> None:
        flow, record = seat.workflow, seat.record
        folder = self.store.pod(flow.name, seat.key)
        template = substitute(flow.templates[record.template], record.scope)
        folder.mkdir(parents=True, exist_ok=True)
        content = plan(
            template,
            environment=self.images.environment(template["container"]["image"]),
            mounts=self._mounts(flow, seat.key, record),
            folder=folder,
            cores=self.capacity.cpus,
            gpus=record.gpus,
            gpus_asked=self._request(seat).gpus,
            deadline=remaining(flow, record, self.now),
            grace=grace_seconds(flow.manifest["spec"].get("podSpecPatch"), template.get("podSpecPatch")),
        )
        held = secrets(template["container"], flow.secrets)
        self.pods.launch(folder, content, held.values)

    def _mounts(self, workflow: Workflow, key: str, record: PodRecord) -> Mounts:
        spec, template = workflow.manifest["spec"], workflow.templates[record.template]
        own = self.store.folder(workflow.name) / "volumes"
        claims = {name: own / name for name in (c["metadata"]["name"] for c in spec.get("volumeClaimTemplates") or [])}
        for volume in [*(spec.get("volumes") or []), *(template.get("volumes") or [])]:
            if claim := volume.get("persistentVolumeClaim"):
                claims[volume["name"]] = self.store.claim(claim["claimName"])
        container = substitute(template["container"], record.scope)
        return mounts(container, claims=claims, pod=self.store.pod(workflow.name, key))

    def _close(self, workflow: Workflow) -> None:
        """Gives back what a finished workflow need not keep; its logs and records stay."""
        self.store.drop_secrets(workflow.name)
        for key in workflow.pods:
            self.pods.clear(self.store.pod(workflow.name, key))
        if "persistentVolumeClaims" not in workflow.status:
            self.store.discard(self.store.folder(workflow.name) / "volumes")
        self.store.mark_finished(workflow.name)

    def _delete(self, name: str) -> None:
        if name in self.workflows and name not in self._over:
            return
        self._gone.add(name)
        self.store.discard(self.store.folder(name))
        self.store.answered(name, "delete")
