"""Turns heartbeats into series of metrics over the epochs of a job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api.jobs.schemas import MetricsPoint
from api.jobs.views import told
from api.models import Attempt, Heartbeat


def lineage(attempts: Sequence[Attempt]) -> list[int]:
    """Returns the attempts whose epochs make up the present training: back to the last one that began from nothing."""
    numbers = []
    for attempt in reversed(attempts):
        numbers.append(attempt.number)
        if not attempt.resume:
            break
    return sorted(numbers)


def by_epoch(beats: Iterable[Heartbeat]) -> list[MetricsPoint]:
    """Returns one point an epoch, with the latest value of each of its metrics; a later attempt replaces an earlier."""
    points: dict[int, MetricsPoint] = {}
    for beat in beats:
        if not beat.metrics or beat.epoch < 0:
            continue
        point = points.get(beat.epoch)
        if point is None or point.attempt < beat.attempt:
            points[beat.epoch] = by_step(beat)
        elif point.attempt == beat.attempt:
            point.metrics = point.metrics | beat.metrics
            point.step, point.received_at = told(beat.step), beat.received_at
    return [points[epoch] for epoch in sorted(points)]


def by_step(beat: Heartbeat) -> MetricsPoint:
    """Returns one heartbeat's metrics as a point of its own."""
    return MetricsPoint(
        attempt=beat.attempt,
        epoch=told(beat.epoch),
        step=told(beat.step),
        metrics=beat.metrics or {},
        received_at=beat.received_at,
    )
