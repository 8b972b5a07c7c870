"""Tasks of datasets as records: started or joined, cancelled, forgotten; the reconciler works them off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from api.datasets import queries
from api.datasets.commands import OPTIONS, SplitOptions
from api.datasets.place import wrong
from api.errors import Conflict, Invalid, NotFound
from api.models import Dataset, DatasetTask
from api.platform import Platform
from workflows.keys import dataset_outputs_prefix, new_task_id
from workflows.problems import suggest

OPEN = ("pending", "running")
ENDED = ("succeeded", "failed", "cancelled")


def start(platform: Platform, dataset_id: str, kind: str, options: Mapping[str, Any]) -> tuple[DatasetTask, bool]:
    """Records a task, or joins one that is open and asks for the same; returns it, and whether it is new.

    Raises:
        NotFound: there is no such dataset. Invalid: there is no such task or option. Conflict: it is being deleted.
    """
    asked = understood(kind, options)
    with platform.database.write() as session:
        dataset = usable(session, dataset_id)
        other = usable(session, asked["other"]) if kind == "diff" else None
        alike = session.scalars(
            select(DatasetTask)
            .where(DatasetTask.dataset_id == dataset.id, DatasetTask.kind == kind, DatasetTask.state.in_(OPEN))
            .where(DatasetTask.cancel_requested.is_(False))
        )
        # Compared here: PostgreSQL has no equality for JSON, and SQLite's depends on the order of the keys.
        twin = next((task for task in alike if task.options == asked), None)
        if twin is not None:
            return twin, False
        task = DatasetTask(
            id=new_task_id(),
            dataset_id=dataset.id,
            other_id=other.id if other else None,
            kind=kind,
            options=asked,
            state="pending",
            cancel_requested=False,
            created_at=platform.clock(),
        )
        session.add(task)
        session.flush()
        return task, True


def understood(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a task's options as they are recorded; raises Invalid naming what is wrong."""
    model = OPTIONS.get(kind)
    if model is None:
        cure = suggest(kind, OPTIONS)
        raise Invalid(
            f"a dataset has no task {kind!r}", cure=cure, errors=[{"field": "kind", "message": kind, "cure": cure}]
        )
    try:
        made = model.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        context = first.get("ctx") or {}
        field = ".".join(str(part) for part in (*first["loc"], *filter(None, [context.get("field")])))
        cure = str(context.get("cure") or f"{kind} takes: {', '.join(_names(model))}")
        raise wrong(f"options.{field}", f"{field}: {context.get('message') or first['msg']}", cure) from error
    if isinstance(made, SplitOptions) and made.save and made.split is None:
        raise wrong("options.split", "split: there is nothing to save", "say how to split: {ratio: [0.8, 0.2]}")
    return made.model_dump(mode="json", exclude_none=True, exclude_defaults=True, by_alias=True)


def _names(model: Any) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def usable(session: Session, dataset_id: str) -> Dataset:
    """Returns a dataset on which something may begin; raises NotFound, or Conflict where it is being deleted."""
    found = queries.one(session, dataset_id)
    if found.deleting:
        raise Conflict(
            f"dataset {dataset_id!r} is being deleted", cure=f"wait, or finish it: tiphys dataset delete {dataset_id}"
        )
    return found


def every(session: Session, dataset_id: str, *, limit: int | None = None) -> Sequence[DatasetTask]:
    """Returns a dataset's tasks, newest first."""
    of_it = select(DatasetTask).where(DatasetTask.dataset_id == dataset_id)
    return session.scalars(of_it.order_by(DatasetTask.created_at.desc(), DatasetTask.id).limit(limit)).all()


def one(session: Session, dataset_id: str, task_id: str) -> DatasetTask:
    """Returns a task of a dataset; raises NotFound."""
    queries.one(session, dataset_id)
    found = session.get(DatasetTask, task_id)
    if found is None or found.dataset_id != dataset_id:
        raise NotFound(
            f"dataset {dataset_id!r} has no task {task_id!r}", cure=f"see them: tiphys dataset tasks {dataset_id}"
        )
    return found


def open_tasks(session: Session, dataset_id: str) -> Sequence[DatasetTask]:
    """Returns the tasks that have not ended and read a dataset."""
    of_it = or_(DatasetTask.dataset_id == dataset_id, DatasetTask.other_id == dataset_id)
    query = select(DatasetTask).where(of_it, DatasetTask.state.in_(OPEN))
    return session.scalars(query.order_by(DatasetTask.created_at)).all()


def cancel(platform: Platform, dataset_id: str, task_id: str) -> DatasetTask:
    """Asks a task to end; one that has not begun ends at once, one that has ended goes with what it made."""
    with platform.database.write() as session:
        task = one(session, dataset_id, task_id)
        if task.state == "running":
            task.cancel_requested = True
            return task
        if task.state == "pending":
            task.state, task.finished_at = "cancelled", platform.clock()
            task.cancel_requested = True
            return task
        # Still to be found where the removal below breaks off: then it is asked for again.
        task.outputs = []
    platform.storage.delete_prefix(dataset_outputs_prefix(dataset_id, task_id))
    with platform.database.write() as session:
        session.delete(one(session, dataset_id, task_id))
    return task
