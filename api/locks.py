"""Sessions for PostgreSQL that hold the job they look at, so that what they read stays true until they commit.

SQLite has one writer at a time. With several, two things would go wrong: both could read a job and write what the other
has just made untrue, and a number of an event could become visible after a later one of the same job, which a stream
that follows the numbers would then never tell. Both need the same cure: whoever writes about a job holds its row first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Session

from api.models import Attempt, Dataset, Event, Heartbeat, Job

# Not FOR UPDATE: rows that refer to it may still be added.
_JOBS = (
    select(Job.id).where(Job.id.in_(bindparam("ids", expanding=True))).order_by(Job.id).with_for_update(key_share=True)
)
_DATASET = select(Dataset.id).where(Dataset.id == bindparam("id")).with_for_update(key_share=True)


def hold_jobs(connection: Connection, ids: Iterable[str]) -> None:
    """Holds jobs until the transaction ends, in the order of their ids: so that no two wait for each other."""
    wanted = sorted(ids)
    if wanted:
        connection.execute(_JOBS, {"ids": wanted})


class HoldingSession(Session):
    """A session for writing: the job or dataset that it gets by its key it holds until it commits."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held: set[tuple[str, str]] = set()

    def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        """Returns a row by its key; an attempt is held by its job."""
        if entity is Job:
            self.hold({ident})
        elif entity is Attempt:
            self.hold({ident[0]})
        elif entity is Dataset and ("dataset", ident) not in self._held:
            self._held.add(("dataset", ident))
            self.connection().execute(_DATASET, {"id": ident})
        return super().get(entity, ident, **options)

    def flush(self, objects: Any = None) -> None:
        """Writes what is new, holding the jobs that it tells of."""
        self.hold({row.job_id for row in self.new if isinstance(row, Event | Heartbeat)})
        super().flush(objects)

    def hold(self, job_ids: set[str]) -> None:
        """Holds jobs, each once."""
        fresh = {job_id for job_id in job_ids if job_id is not None and ("job", job_id) not in self._held}
        if fresh:
            self._held |= {("job", job_id) for job_id in fresh}
            hold_jobs(self.connection(), fresh)
